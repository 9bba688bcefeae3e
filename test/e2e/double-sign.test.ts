import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from '../../src/client/client.ts'
import { oneAo } from '../../src/economy/quantity.ts'
import { connectNode } from '../../src/network/grpc/connect.ts'
import type { Assignment, ScheduledMessage } from '../../src/protocol/assignment.ts'
import { parseStoredItem } from '../../src/protocol/data-item.ts'
import { parseEvidence, verifyEvidence } from '../../src/protocol/evidence.ts'
import type { Id } from '../../src/protocol/ids.ts'
import { outputHash } from '../../src/protocol/result.ts'
import { endpointOf } from '../../src/testnet/layout.ts'
import { fetchStatus } from '../../src/testnet/node-status.ts'
import { eventually } from '../support/eventually.ts'
import { type StakedTestnet, withStakedTestnet } from '../support/staked-testnet.ts'

const slow = process.env['AONET_SLOW_TESTS'] === '1'

describe('an SU that signs twice, on a network of separate processes', () => {
  for (const [cheat, heir, what] of [
    ['all-1', 'su-1', 'is noticed, proven, slashed and replaced, without anyone touching it; all nodes agree'],
    ['su-1', 'all-1', 'also where it orders AO-Sec Origin itself: the next SU steps in there too'],
  ] as const) {
    it(what, async function () {
      if (!slow) this.skip()
      this.timeout(300_000)
      await withStakedTestnet({ cheat, heir, fault: 'double-sign' }, play)
    })
  }
})

async function play(net: StakedTestnet): Promise<void> {
  const { cwd, nodes, cheat, heir, user, signer, gateway, module, stake, slashed } = net
  // A Process of the cheat's; its second message shows the fault.
  const spawned = await user.client.spawn({ module, scheduler: cheat.address })
  const sent: Assignment[] = [spawned]
  for (const data of ['one', 'two', 'three']) sent.push(await user.client.send(spawned.process, { data }))

  const offence = await slashed(120_000)
  assert.equal(BigInt(offence.slashed), stake / 2n)
  assert.equal(BigInt(offence.paidReporter), (stake / 2n / 100n) * 5n, 'the reporter got its twentieth')
  assert.ok(
    nodes.some(({ address }) => address === offence.reporter),
    'a node reported, on its own',
  )
  const info = await eventually('AO-Sec Origin answers', () => user.court.ask('Info').catch(() => undefined), 60_000)
  const fund = JSON.parse(info) as Record<string, string>
  assert.equal(BigInt(fund['Insurance'] ?? 0), (stake / 2n / 100n) * 45n)
  assert.equal(BigInt(fund['Slashed'] ?? 0), stake / 2n)
  assert.equal(BigInt(fund['Burned'] ?? 0), (stake / 2n / 100n) * 50n, 'the rest burned')
  // The reward is there to spend, beside the 50 AO that each node of a testnet gets for bonds.
  const isPaid = async (): Promise<boolean> => {
    const balance = await user.court.ask('Balance', { Recipient: offence.reporter }).catch(() => '0')
    return BigInt(balance) > 50n * oneAo + BigInt(offence.paidReporter) / 2n // some of it may be locked again
  }
  await eventually('the reporter is paid', isPaid, 90_000)

  // The evidence is a file that proves it to anybody.
  const reporter = nodes.find(({ address }) => address === offence.reporter) ?? assert.fail()
  const [file] = readdirSync(join(cwd, reporter.directory, 'evidence'))
  const evidence = parseEvidence(parseStoredItem(readFileSync(join(cwd, reporter.directory, 'evidence', file ?? ''))))
  assert.equal((await verifyEvidence(evidence)).unit, cheat.address)

  // Every node's own replay from Arweave, and the CU's state in QuickJS, are one.
  const oneHash = async (): Promise<boolean> => {
    const own = await Promise.all(
      nodes.map(async node => (await fetchStatus(node))?.['economy'] as Record<string, string>),
    )
    const asked = await user.court.ask('State-Hash').catch(() => 'nobody answers')
    return new Set([...own.map(economy => economy['stateHash']), asked]).size === 1
  }
  await eventually('all agree', oneHash, 60_000)

  // The Process goes on under the other SU, by itself, with all that was acknowledged.
  const next = await eventually(
    'the Process has a new host',
    () => user.client.send(spawned.process, { data: 'four' }).catch(() => undefined),
    90_000,
  )
  assert.deepEqual([next.scheduler, next.epoch], [heir.address, 1])
  sent.push(next)
  const rows: ScheduledMessage[] = []
  for await (const row of user.client.schedule(spawned.process)) rows.push(row) // checks each link
  assert.deepEqual(
    rows.map(({ assignment }) => assignment.message),
    sent.map(({ message }) => message),
    'the same history, nothing lost and nothing twice',
  )
  const kept = rows.filter(({ assignment }) => assignment.epoch === 0)
  assert.deepEqual(
    kept.map(({ assignment }) => assignment.id),
    sent.slice(0, kept.length).map(({ id }) => id),
  )

  // Both CUs evaluate the same, over both turns.
  const results = await Promise.all(
    ['cu-1', 'cu-2'].map(async name => {
      const cu = nodes.find(node => node.name === name) ?? assert.fail(name)
      const client = new Client(await connectNode(endpointOf(cu), {}), signer)
      const roots: string[] = []
      for (const { assignment } of rows) {
        const { result } = await eventually(
          'the result',
          () => client.result(spawned.process, assignment.nonce).catch(() => undefined),
          30_000,
        )
        roots.push(`${result.stateRoot} ${result.stateNonce} ${outputHash(result)}`)
      }
      await client.close()
      return roots
    }),
  )
  assert.deepEqual(results[0], results[1])
  assert.equal(results[0]?.length, rows.length)

  // AO-Sec Origin has its own host, and takes what it is told.
  const told = await eventually(
    'AO-Sec Origin takes messages',
    () => user.court.act('Transfer', { Recipient: heir.address, Quantity: '1' }).catch(() => undefined),
    90_000,
  )
  assert.equal(told.length, 2)
  const first = nodes.find(({ name }) => name === 'su-1') === cheat
  for (const node of nodes) {
    const isFollowed = async () =>
      ((await fetchStatus(node))?.['economy'] as { epoch: number } | undefined)?.epoch === (first ? 1 : 0)
    await eventually(`${node.name} follows AO-Sec Origin`, isFollowed, 30_000)
  }

  // All of it lies on Arweave: who has nothing but the gateway finds the whole log, over both SUs.
  const onArweave = async (): Promise<boolean> => {
    const held = await Promise.all(rows.map(({ assignment }) => gateway.item(assignment.id as string as Id)))
    return held.every(item => item !== undefined)
  }
  await eventually('both turns are settled', onArweave, 60_000)
}

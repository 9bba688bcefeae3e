import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { GatewayClient } from '../../src/arweave/gateway-client.ts'
import { Client } from '../../src/client/client.ts'
import { publishModule } from '../../src/client/module.ts'
import { OriginClient } from '../../src/client/origin.ts'
import { oneAo } from '../../src/economy/quantity.ts'
import { silentTelemetry } from '../../src/lib/telemetry.ts'
import { echoFormat, echoModule } from '../../src/modules/echo/echo.ts'
import { connectNode } from '../../src/network/grpc/connect.ts'
import { loadKey } from '../../src/node/keys.ts'
import type { Assignment, ScheduledMessage } from '../../src/protocol/assignment.ts'
import { parseStoredItem } from '../../src/protocol/data-item.ts'
import { parseEvidence, verifyEvidence } from '../../src/protocol/evidence.ts'
import type { Address, Id } from '../../src/protocol/ids.ts'
import { outputHash } from '../../src/protocol/result.ts'
import { defaultTestnetDirectory, readState, type TestnetNode, type TestnetState } from '../../src/testnet/layout.ts'
import { fetchStatus } from '../../src/testnet/node-status.ts'
import { endpointOf } from '../../src/testnet/testnet.ts'
import { withTempDir } from '../support/builders.ts'
import { eventually } from '../support/eventually.ts'
import { runCli } from '../support/run-cli.ts'

interface Offence {
  readonly operator: Address
  readonly class: string
  readonly slashed: string
  readonly reporter: Address
  readonly paidReporter: string
  readonly executed: boolean
}

const slow = process.env['AONET_SLOW_TESTS'] === '1'

describe('an SU that signs twice, on a network of separate processes', () => {
  it('is noticed, proven, slashed and replaced, without anyone touching it; all nodes agree', async function () {
    if (!slow) this.skip()
    this.timeout(300_000)
    await withTempDir(async cwd => {
      try {
        const args = ['testnet', 'up', '--detach', '--fault', 'all-1=double-sign']
        const up = await runCli(args, { cwd, timeoutMs: 120_000 })
        assert.equal(up.code, 0, up.error)
        await play(readState(join(cwd, defaultTestnetDirectory)) ?? assert.fail('no testnet'), cwd)
      } finally {
        await runCli(['testnet', 'down'], { cwd, timeoutMs: 60_000 })
      }
    })
  })
})

async function play(state: TestnetState, cwd: string): Promise<void> {
  const { nodes, origin, arweave } = state
  const wallet = join(cwd, state.wallet)
  const [entry, cheat, heir] = ['mu-1', 'all-1', 'su-1'].map(
    name => nodes.find(node => node.name === name) ?? assert.fail(name),
  )
  if (entry === undefined || cheat === undefined || heir === undefined || origin === undefined)
    assert.fail('the testnet is not as it was')
  const talk = async (key: string) => {
    const client = new Client(await connectNode(endpointOf(entry), {}), loadKey(join(cwd, key), '').signer)
    return { client, court: new OriginClient(client, origin.process) }
  }
  const keyOf = ({ directory }: TestnetNode): string => join(directory, 'key.json')
  const [user, unit, other, faucet] = await Promise.all(
    [state.wallet, keyOf(cheat), keyOf(heir), origin.faucet].map(talk),
  )
  if (user === undefined || unit === undefined || other === undefined || faucet === undefined) assert.fail()
  const stake = 1000n * oneAo
  await faucet.court.act('Transfer', { Recipient: user.client.address, Quantity: String(3n * stake) })
  await user.court.act('Stake', { Role: 'SU', Operator: cheat.address, Quantity: String(stake) })
  await user.court.act('Stake', { Role: 'SU', Operator: heir.address, Quantity: String(stake) })
  for (const one of [unit, other]) {
    await one.court.act('Register-Operator', { Role: 'SU', 'Owner-Account': user.client.address })
  }

  // A Process of the cheat's; its second message shows the fault.
  const signer = loadKey(wallet, '').signer
  const gateway = new GatewayClient(silentTelemetry, { gatewayUrl: arweave.url })
  const module = await publishModule({ bytes: echoModule(), format: echoFormat }, { arweave: gateway, signer })
  const spawned = await user.client.spawn({ module, scheduler: cheat.address })
  const sent: Assignment[] = [spawned]
  for (const data of ['one', 'two', 'three']) sent.push(await user.client.send(spawned.process, { data }))

  const slashed = async (): Promise<Offence | undefined> => {
    const { offences } = JSON.parse(await user.court.ask('Slashes')) as { offences: [string, Offence][] }
    return offences.map(([, row]) => row).find(row => row.operator === cheat.address && row.executed)
  }
  const offence = await eventually('the SU is slashed', slashed, 120_000)
  assert.equal(BigInt(offence.slashed), stake / 2n)
  assert.equal(BigInt(offence.paidReporter), (stake / 2n / 100n) * 5n, 'the reporter got its twentieth')
  assert.ok(
    nodes.some(({ address }) => address === offence.reporter),
    'a node reported, on its own',
  )
  const fund = JSON.parse(await user.court.ask('Info')) as Record<string, string>
  assert.equal(BigInt(fund['Insurance'] ?? 0), (stake / 2n / 100n) * 45n)

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
    return new Set([...own.map(economy => economy['stateHash']), await user.court.ask('State-Hash')]).size === 1
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

  // All of it lies on Arweave: who has nothing but the gateway finds the whole log, over both SUs.
  const onArweave = async (): Promise<boolean> => {
    const held = await Promise.all(rows.map(({ assignment }) => gateway.item(assignment.id as string as Id)))
    return held.every(item => item !== undefined)
  }
  await eventually('both turns are settled', onArweave, 60_000)
  await Promise.all([user, unit, other, faucet].map(({ client }) => client.close()))
}

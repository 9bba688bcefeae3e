import assert from 'node:assert/strict'
import type { Id } from '../../src/protocol/ids.ts'
import { eventually } from '../support/eventually.ts'
import { type StakedTestnet, withStakedTestnet } from '../support/staked-testnet.ts'

const slow = process.env['AONET_SLOW_TESTS'] === '1'

describe('an SU that owes an answer, on a network of separate processes', () => {
  it('is found guilty if it orders nothing, and what it left out is ordered by the next', async function () {
    if (!slow) this.skip()
    this.timeout(300_000)
    await withStakedTestnet({ cheat: 'all-1', heir: 'su-1', fault: 'censor' }, net => play(net, censored))
  })

  it('is found guilty if it publishes nothing, and its log goes on from what others have of it', async function () {
    if (!slow) this.skip()
    this.timeout(300_000)
    await withStakedTestnet({ cheat: 'all-1', heir: 'su-1', fault: 'no-publish' }, net => play(net, unpublished))
  })
})

interface Fault {
  readonly class: string
  readonly bps: bigint
  /** Whether the cheat takes messages at first. */
  readonly takes: boolean
}
const censored: Fault = { class: 'liveness', bps: 50n, takes: false }
const unpublished: Fault = { class: 'publication', bps: 500n, takes: true }

async function play(net: StakedTestnet, fault: Fault): Promise<void> {
  const { cheat, heir, user, module, stake, nodes } = net
  const spawned = await user.client.spawn({ module, scheduler: cheat.address })
  const send = (data: string) => user.client.send(spawned.process, { data })
  const sent = [spawned.message]
  if (fault.takes) for (const data of ['one', 'two']) sent.push((await send(data)).message)
  else await assert.rejects(send('one'), 'it takes none')

  const offence = await net.slashed(150_000)
  assert.equal(offence.class, fault.class)
  assert.equal(BigInt(offence.slashed), (stake * fault.bps) / 10_000n)
  assert.ok(
    nodes.some(({ address }) => address === offence.reporter),
    'a node asked, on its own',
  )
  // Until all have read it from Arweave, the old one may still order: that is dropped, and ordered again.
  const bySuccessor = async () => {
    const assignment = await send('next').catch(() => undefined)
    return assignment?.epoch === 1 ? assignment : undefined
  }
  const next = await eventually('the Process has a new host', bySuccessor, 90_000)
  assert.deepEqual([next.scheduler, next.epoch], [heir.address, 1])
  const read = async () => {
    const rows: { message: string; data: string }[] = []
    for await (const { assignment, message } of user.client.schedule(spawned.process)) {
      rows.push({ message: assignment.message, data: Buffer.from(message?.data ?? []).toString() })
    }
    return rows
  }
  // What was left out is ordered by the MU that holds it, once it knows of the new host.
  if (!fault.takes)
    await eventually(
      'what was left out is ordered',
      async () => (await read()).some(({ data }) => data === 'one'),
      60_000,
    )
  const messages = (await read()).map(({ message }) => message)
  assert.deepEqual(messages.slice(0, sent.length), sent, 'the same history')
  assert.equal(new Set(messages).size, messages.length, 'nothing stands twice')
  assert.ok(messages.includes(next.message))
  if (fault.takes) {
    // What the old one kept from Arweave, the new one brings there.
    const isThere = async () => (await net.gateway.item(spawned.id as string as Id)) !== undefined
    await eventually('the log of the old SU is on Arweave', isThere, 60_000)
  }
}

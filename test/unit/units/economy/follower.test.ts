import assert from 'node:assert/strict'
import { MemoryArweave } from '../../../../src/arweave/memory-arweave.ts'
import { stateHash } from '../../../../src/economy/state.ts'
import { silentTelemetry } from '../../../../src/lib/telemetry.ts'
import { Origin } from '../../../../src/modules/ao-sec-origin/origin.ts'
import {
  type Assignment,
  draftAssignment,
  parseAssignment,
  type ScheduledMessage,
} from '../../../../src/protocol/assignment.ts'
import { packBundle } from '../../../../src/protocol/bundle.ts'
import { type DataItem, parseStoredItem } from '../../../../src/protocol/data-item.ts'
import { nextLink } from '../../../../src/protocol/hash-chain.ts'
import type { Address, Id, Nonce, ProcessId } from '../../../../src/protocol/ids.ts'
import { type Tag, tagsOf } from '../../../../src/protocol/tags.ts'
import { MemoryEconomyStore } from '../../../../src/storage/memory.ts'
import { toVmMessage } from '../../../../src/units/compute/messages.ts'
import { EconomyFollower } from '../../../../src/units/economy/follower.ts'
import { OriginOrder, type PublishedItem } from '../../../../src/units/economy/origin-order.ts'
import { StakedDirectory } from '../../../../src/units/economy/staked-directory.ts'
import { aMessage, anItem, aProcess, processIdOf, schedule, testSigner } from '../../../support/builders.ts'
import { addressOf, originParams } from '../../../support/origin.ts'

const action = (name: string, fields: Readonly<Record<string, string>> = {}): readonly Tag[] =>
  tagsOf(['Action', name], ...Object.entries(fields))

/** Height at which the messages of these tests are ordered. */
const start = 1_500_000

describe('units/economy: AO-Sec Origin from Arweave alone', () => {
  let item: DataItem
  let origin: ProcessId
  let log: readonly ScheduledMessage[]
  const [su, su2] = [testSigner('su'), testSigner('su2')]
  const at = (nonce: number): Assignment => log[nonce]?.assignment ?? assert.fail(`no nonce ${nonce}`)

  before(async () => {
    const tags = tagsOf(['Fallback-Scheduler', su2.address], ['Authority', addressOf('mu')])
    item = await aProcess({ tags, data: JSON.stringify(originParams), signer: testSigner('faucet') })
    origin = processIdOf(item)
    const sent = await Promise.all([
      aMessage(origin, { tags: action('Mint') }),
      aMessage(origin, {
        tags: action('Transfer', { Recipient: addressOf('owner'), Quantity: '5' }),
        signer: testSigner('faucet'),
      }),
      aMessage(origin, { tags: action('Transfer', { Recipient: 'x', Quantity: '-5' }) }),
      aMessage(origin, { tags: action('Burn', { Quantity: '2' }), signer: testSigner('owner') }),
    ])
    const block = { height: start, hash: 'b', timestamp: originParams.emission.genesisMs + 300_000 * 100 }
    log = await schedule(item, sent, { block })
  })

  class Chain {
    readonly arweave = new MemoryArweave()
    readonly store = new MemoryEconomyStore()

    follower(): EconomyFollower {
      const { arweave, store } = this
      return new EconomyFollower({ origin, arweave, store, telemetry: silentTelemetry })
    }

    /** Puts log entries on Arweave, as a settler does, in one block. */
    async settle(...entries: readonly ScheduledMessage[]): Promise<void> {
      const items = entries.flatMap(({ assignment, message }) => [
        ...(message === undefined ? [] : [message]),
        { id: assignment.id as Id as DataItem['id'], raw: assignment.raw },
      ])
      await this.arweave.post(await this.arweave.prepare(packBundle(items)))
      this.arweave.mine()
    }
  }

  /** What whoever has the messages gets, without Arweave. */
  function replayed(count = log.length): string {
    const native = new Origin()
    for (const { assignment, message } of log.slice(0, count)) {
      native.handle(toVmMessage({ assignment, message: message as DataItem }) as never, {
        Process: { Id: origin, Tags: item.tags },
      })
    }
    return stateHash(native.state ?? assert.fail('no state'))
  }

  it('comes to the state of who evaluates the messages, once they lie deep enough, in whatever bundles', async () => {
    const chain = new Chain()
    const follower = chain.follower()
    await follower.tick()
    assert.equal(follower.state, undefined, 'nothing is there yet')
    await chain.settle(...log.slice(0, 2))
    await follower.tick()
    assert.equal(follower.state, undefined, 'one confirmation is not the settlement depth')
    await chain.settle(...log.slice(3, 5)) // out of turn
    await chain.settle(...log.slice(2, 3))
    chain.arweave.mine()
    await follower.tick()
    assert.equal(stateHash(follower.state ?? assert.fail('no state')), replayed())
    assert.equal(follower.status()['nonce'], 4)
  })

  it('goes on after a restart from what is on disk', async () => {
    const chain = new Chain()
    await chain.settle(...log.slice(0, 3))
    chain.arweave.mine()
    const before = chain.follower()
    await before.tick()
    assert.equal(stateHash(before.state ?? assert.fail('no state')), replayed(3))
    const after = chain.follower()
    await after.tick()
    assert.equal(stateHash(after.state ?? assert.fail('no state')), replayed(3))
    await chain.settle(...log.slice(3))
    chain.arweave.mine()
    await after.tick()
    assert.equal(stateHash(after.state ?? assert.fail('no state')), replayed())
  })

  const rules = (): ConstructorParameters<typeof OriginOrder>[0] => ({
    process: origin,
    schedulers: [su.address, su2.address],
    authorities: [testSigner('mu').address],
    takeoverBlocks: 20,
  })
  const itemOf = ({ raw }: Assignment): DataItem => parseStoredItem(raw)
  /** As published so many blocks after the start. */
  const published = (blocks: number, what: DataItem): PublishedItem => ({
    height: start + blocks,
    timestamp: at(0).blockTimestamp + blocks * 120_000,
    item: what,
  })

  it('counts the first Assignment published for a nonce, and hands on to the next SU when a second one shows', async () => {
    const order = new OriginOrder(rules())
    const twice = parseAssignment(await su.sign(draftAssignment({ ...at(1), message: at(3).message })))
    const taken = []
    for (const one of [at(0), at(1), twice]) taken.push(...order.take(published(1, itemOf(one))))
    assert.deepEqual(
      taken.map(({ id }) => id),
      [at(0).id, at(1).id],
    )
    assert.equal(order.scheduler, su2.address)
    // The old one is heard no more; the new one goes on from the last that counted.
    assert.deepEqual(order.take(published(2, itemOf(at(2)))), [])
    const fields = { ...at(2), epoch: 1, nonce: 2 as Nonce, hashChain: nextLink(at(1)) }
    const next = parseAssignment(await su2.sign(draftAssignment(fields)))
    assert.deepEqual(
      order.take(published(3, itemOf(next))).map(({ id }) => id),
      [next.id],
    )
  })

  it('hands on at the same height however far it was read at once', async () => {
    const waiting = await aMessage(origin, { data: 'against the SU' })
    const [slowly, atOnce] = [new OriginOrder(rules()), new OriginOrder(rules())]
    for (const order of [slowly, atOnce]) {
      order.take(published(1, itemOf(at(0))))
      order.take(published(5, waiting))
    }
    for (let height = 5; height <= 90; height++) slowly.closeHeight(start + height)
    atOnce.closeHeight(start + 90)
    assert.equal(atOnce.epoch, 1)
    assert.deepEqual(atOnce.snapshot(), slowly.snapshot())
    assert.equal(atOnce.snapshot().since, start + 26)
    assert.deepEqual(atOnce.epochs[0]?.last?.assignment, at(0).id)
    assert.deepEqual(atOnce.waiting, [waiting.id])
  })

  it('hands on for nothing that an honest SU may refuse to order', async () => {
    const order = new OriginOrder(rules())
    order.take(published(1, itemOf(at(0))))
    const push = tagsOf(['From-Process', origin], ['From-Nonce', '3'], ['From-Index', '0'])
    const items = [
      await aMessage(origin, { tags: push, signer: testSigner('mu') }), // an equal part may have been ordered already
      await anItem({ target: origin, data: new Uint8Array(1), tags: [] }),
      await anItem({ target: origin, data: new Uint8Array(1), tags: tagsOf(['Data-Protocol', 'ao'], ['Type', 'X']) }),
      await aMessage(origin, { data: 'x'.repeat(2_000_000) }),
    ]
    for (const one of items) order.take(published(5, one))
    order.closeHeight(start + 1000)
    assert.equal(order.epoch, 0)
    order.take(published(1000, await aMessage(origin, { tags: push }))) // nobody whom the Process believes
    order.closeHeight(start + 2000)
    assert.equal(order.epoch, 1)
  })

  it('sees what was posted straight to Arweave, until it is ordered', async () => {
    const chain = new Chain()
    const follower = chain.follower()
    await chain.settle(...log.slice(0, 2))
    const message = log[2]?.message ?? assert.fail()
    await chain.arweave.post(await chain.arweave.prepare(packBundle([message])))
    for (let i = 0; i < 3; i++) chain.arweave.mine()
    await follower.tick()
    assert.deepEqual(follower.waiting, [message.id])
    const { assignment } = log[2] ?? assert.fail()
    await chain.settle({ assignment })
    chain.arweave.mine()
    await follower.tick()
    assert.deepEqual(follower.waiting, [])
    assert.equal(stateHash(follower.state ?? assert.fail('no state')), replayed(3))
  })

  it('hands on when an item waits too long, counted anew for each SU, and remembers that over a restart', async () => {
    const waiting = await aMessage(origin, { data: 'against the SU' })
    let order = new OriginOrder(rules())
    order.take(published(1, itemOf(at(0))))
    order.take(published(5, waiting))
    order.closeHeight(start + 25)
    assert.equal(order.epoch, 0)
    order = new OriginOrder(rules(), { ...JSON.parse(JSON.stringify(order.snapshot())), assignment: at(0) })
    order.closeHeight(start + 26)
    assert.equal(order.epoch, 1)
    order.closeHeight(start + 46)
    assert.equal(order.epoch, 1, 'the last one stays')
  })

  it('hands on when an SU stamps a time that has not come, or holds it up, and counts nothing of that', async () => {
    const stamped = async (changes: Partial<Assignment>): Promise<DataItem> =>
      su.sign(draftAssignment({ ...at(1), ...changes }))
    const { blockHeight, blockTimestamp } = at(1)
    const soon = blockTimestamp + 120_000
    for (const [blocks, changes, stands] of [
      [1, {}, true],
      [1, { blockHeight: blockHeight + 1, blockTimestamp: soon + 600_000 }, true],
      [1, { blockHeight: blockHeight + 2 }, false],
      [1, { blockTimestamp: soon + 600_001 }, false],
      [240, {}, true],
      [241, {}, false],
    ] as const) {
      const order = new OriginOrder(rules())
      order.take(published(0, itemOf(at(0))))
      const counted = order.take(published(blocks, await stamped(changes)))
      assert.deepEqual([counted.length, order.epoch], stands ? [1, 0] : [0, 1], JSON.stringify([blocks, changes]))
    }
  })

  it('does not mind who publishes once more what counted long ago', async () => {
    const order = new OriginOrder(rules(), {
      ...{ assignment: at(3), epoch: 0, since: start, ends: [], assigned: [], waiting: [], held: [] },
    })
    assert.deepEqual(order.take(published(5000, itemOf(at(1)))), [])
    assert.equal(order.epoch, 0)
  })

  it('gives no work to the jailed and the tombstoned, nor to the unstaked where stakes are asked for', () => {
    const units = ['active', 'jailed', 'tombstoned', 'unstaked'].map(address => ({
      address: address as Address,
      roles: ['SU'],
    }))
    const inner = { find: () => units, all: () => units } as never
    const named = (allowUnstaked: boolean): readonly string[] => {
      const economy = {
        standing: (_: unknown, address: string) => address,
        state: { params: { allowUnstaked } },
      } as never
      return new StakedDirectory(inner, economy).find('SU').map(({ address }) => address)
    }
    assert.deepEqual(named(true), ['active', 'unstaked'])
    assert.deepEqual(named(false), ['active'])
  })
})

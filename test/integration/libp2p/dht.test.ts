import assert from 'node:assert/strict'
import { peerIdFromString } from '@libp2p/peer-id'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import { dhtKey } from '../../../src/network/libp2p/dht.ts'
import { parseStoredItem } from '../../../src/protocol/data-item.ts'
import { signerFromJwk } from '../../../src/protocol/keys.ts'
import { draftUnitRecord, parseUnitRecord } from '../../../src/protocol/unit-record.ts'
import { openStore } from '../../../src/storage/level.ts'
import { LevelRecordStore } from '../../../src/storage/level-record-store.ts'
import { testJwk, withTempDir } from '../../support/builders.ts'
import { eventually } from '../../support/eventually.ts'
import { startNetwork, stopAll, TestNode } from './test-node.ts'

describe('unit records in the DHT', function () {
  this.timeout(40_000)
  let nodes: TestNode[]
  const nth = (index: number): TestNode => {
    const node = nodes[index]
    if (node === undefined) throw new Error(`no node ${index}`)
    return node
  }
  /** The record of a node as the DHT holds it on another. */
  const fetched = async (from: TestNode, of: TestNode): Promise<Uint8Array | undefined> => {
    const options = { signal: AbortSignal.timeout(5_000) }
    for await (const event of from.host.dht?.get(dhtKey(of.address), options) ?? []) {
      if (event.name === 'VALUE') return event.value
    }
    return undefined
  }
  /** Lays bytes under the address of a node, as a modified peer would: unchecked here, sent to all that are close. */
  const lay = async (from: TestNode, of: TestNode, bytes: Uint8Array): Promise<void> => {
    const options = { signal: AbortSignal.timeout(5_000) }
    for await (const _ of from.host.dht?.put(dhtKey(of.address), bytes, options) ?? []);
  }

  before(async () => {
    nodes = await startNetwork(['dht-0', 'dht-1', 'dht-2', 'dht-3', 'dht-su'], { roles: ['SU'] })
    await eventually('all know all', () => nodes.every(node => node.knows(nodes)), 15_000)
  })
  after(() => stopAll(nodes))

  it('leads to a unit that neither gossip nor an exchange has brought, though the book is full', async () => {
    for (const node of nodes)
      await eventually(`the record of ${node.name} is laid`, () => fetched(nth(1), node), 20_000)
    // Room for two: itself and one more, so that whoever it is told of first leaves no place for the SU.
    const seeker = new TestNode('dht-seeker', {
      bootstrap: [nth(0).multiaddr],
      directory: { maxRecords: 2, targetConnections: 1 },
    })
    nodes.push(await seeker.start())
    await eventually('its book is full', () => seeker.directory.all().length === 2)
    const missing = nodes.filter(node => seeker.directory.get(node.address) === undefined)
    assert.ok(missing.length >= 4)
    for (const { address, host } of missing) {
      const found = await seeker.directory.waitFor(address, { signal: AbortSignal.timeout(10_000) })
      assert.equal(found.peer, host.peerId)
      assert.deepEqual(found.multiaddrs, host.multiaddrs)
    }
    assert.ok(seeker.directory.get(seeker.address) !== undefined, 'its own record stays')
  })

  it('never goes back to an older record, and blames nobody for one', async () => {
    const [liar, su] = [nth(1), nth(4)]
    const old = await eventually('its record is laid', () => fetched(liar, su), 20_000)
    await eventually('a later one is known', () => (nth(2).directory.get(su.address)?.issuedAt ?? 0) > 0)
    const later = await signerFromJwk(testJwk('dht-su')).sign(
      draftUnitRecord({ ...must(nth(2).directory.get(su.address)), issuedAt: Date.now() + 1000 }),
    )
    await lay(su, su, later.raw)
    await eventually('the later one is there', async () => {
      const now = await fetched(nth(2), su)
      return now !== undefined && issuedAt(now) >= issuedAt(later.raw)
    })
    await lay(liar, su, old)
    for (const node of [nth(0), nth(2), nth(3)]) {
      assert.ok(issuedAt(must(await fetched(node, su))) >= issuedAt(later.raw), node.name)
    }
    assert.deepEqual(nth(2).host.ledger.list(), [])
  })

  it('refuses a forged record and one under the address of another, and remembers who brought it', async () => {
    const [liar, su] = [nth(1), nth(4)]
    const own = must(liar.directory.get(liar.address)).raw
    const forged = Uint8Array.from(must(liar.directory.get(su.address)).raw)
    forged[40] = (forged[40] ?? 0) ^ 1
    await lay(liar, su, own)
    await lay(liar, su, forged)
    const conduct = (node: TestNode) => node.host.ledger.list().find(({ peer }) => peer === liar.host.peerId)
    await eventually('it is remembered', () => (conduct(nth(2))?.offences['record-invalid'] ?? 0) >= 2)
    const held = await fetched(nth(2), su)
    assert.ok(held === undefined || Buffer.compare(held, own) !== 0)
  })

  it('bans a peer that asks without end, and serves the others meanwhile', async () => {
    const victim = nth(0)
    const flooder = await new TestNode('dht-flooder', { bootstrap: [victim.multiaddr] }).start()
    nodes.push(flooder)
    await eventually('it is in', () => victim.host.peers.has(flooder.host.peerId))
    const to = peerIdFromString(victim.host.peerId)
    // Straight to what answers its streams: how fast this machine sends is not the question.
    const { rpc } = victim.host.dht as unknown as Internals
    const from = peerIdFromString(flooder.host.peerId)
    const asked = await Promise.allSettled(Array.from({ length: 500 }, () => rpc.handleMessage(from, { type: 'PING' })))
    assert.ok(victim.host.ledger.isBanned(flooder.host.peerId))
    await eventually('it is cut off', () => !victim.host.peers.has(flooder.host.peerId))
    const [worst] = victim.host.ledger.list()
    assert.equal(worst?.peer, flooder.host.peerId)
    assert.equal(worst?.lastOffence, 'dht-rate')
    const answered = asked.filter(({ status }) => status === 'fulfilled').length
    assert.ok(answered >= 200 && answered < 300, `${answered} answered`)
    assert.ok(await askerOf(nth(3))(to), 'others are answered')
  })
})

describe('the directory on disk', function () {
  this.timeout(30_000)

  it('leads a node that starts again back into the network without any bootstrap address', () =>
    withTempDir(async dir => {
      const others = await startNetwork(['saved-0', 'saved-1', 'saved-2'])
      const store = await openStore(dir, silentTelemetry)
      const nodes: TestNode[] = [...others]
      const known = (): number => nodes.at(-1)?.directory.all().length ?? 0
      try {
        const first = new TestNode('saved', {
          bootstrap: [others[0]?.multiaddr ?? ''],
          saved: new LevelRecordStore(store),
        })
        nodes.push(await first.start())
        await eventually('it knows all', () => known() === 4, 15_000)
        await first.stop()
        await others[0]?.stop() // the way in is gone
        const again = new TestNode('saved', { saved: new LevelRecordStore(store) })
        nodes.push(await again.start())
        await eventually('it is back', () => again.host.peers.size >= 1 && known() >= 3, 15_000)
      } finally {
        await stopAll(nodes)
        await store.close()
      }
    }))
})

const issuedAt = (record: Uint8Array): number => parseUnitRecord(parseStoredItem(record)).issuedAt

const must = <T>(value: T | undefined): T => {
  assert.ok(value !== undefined)
  return value
}

/** What kad-dht has at run time and its exported interface lacks. */
interface Internals {
  readonly network: { sendRequest(to: unknown, message: object, options: object): AsyncIterable<{ name: string }> }
  readonly rpc: { handleMessage(from: unknown, message: object): Promise<unknown> }
}

/** One question to the DHT of a peer, as a modified peer could send them without end. */
function askerOf(node: TestNode): (to: unknown) => Promise<boolean> {
  const { network } = node.host.dht as unknown as Internals
  return async to => {
    const options = { signal: AbortSignal.timeout(5_000), path: { index: 0, queued: 0, running: 0, total: 0 } }
    for await (const { name } of network.sendRequest(to, { type: 'FIND_NODE', key: new Uint8Array(32) }, options)) {
      if (name === 'PEER_RESPONSE') return true
    }
    return false
  }
}

import assert from 'node:assert/strict'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { dhtKey } from '../../../src/network/libp2p/dht.ts'
import { peerIdOf } from '../../../src/network/libp2p/peer-key.ts'
import { verifyRecord } from '../../../src/network/libp2p/record-rules.ts'
import type { RecordStore } from '../../../src/ports/record-store.ts'
import type { Address } from '../../../src/protocol/ids.ts'
import { generateKey } from '../../../src/protocol/keys.ts'
import { draftUnitRecord } from '../../../src/protocol/unit-record.ts'
import { testJwk, testSigner } from '../../support/builders.ts'
import { eventually } from '../../support/eventually.ts'
import { network, startNetwork, stopAll, TestNode } from './test-node.ts'

describe('a node surrounded by Sybils', function () {
  this.timeout(90_000)

  it('reaches its SU through its saved directory, though every neighbour it is told of is an attacker', async () => {
    const nodes: TestNode[] = []
    try {
      const su = await new TestNode('real-su', { roles: ['SU'] }).start()
      nodes.push(su)
      const record = must(su.directory.get(su.address))
      // An hour old: of it only the way to the SU is left.
      const old = await testSigner('real-su').sign(
        draftUnitRecord({ ...record, issuedAt: Date.now() - 3_600_000, expiresAt: Date.now() - 3_510_000 }),
      )
      await verifyRecord(old.raw, network)
      const sybils = await startNetwork(
        Array.from({ length: 18 }, (_, i) => `sybil-${i}`),
        {
          directory: { targetConnections: 3 },
        },
      )
      nodes.push(...sybils)
      const saved: RecordStore = { load: async () => [old.raw], save: async () => undefined }
      const victim = await new TestNode('victim', {
        bootstrap: sybils.map(({ multiaddr }) => multiaddr),
        directory: { targetConnections: 4 },
        saved,
      }).start()
      nodes.push(victim)
      await eventually('it is surrounded', () => victim.host.peers.size >= 10, 20_000)
      const found = await victim.directory.waitFor(su.address, { signal: AbortSignal.timeout(10_000) })
      assert.equal(found.peer, su.host.peerId)
      assert.ok(found.expiresAt > Date.now())
    } finally {
      await stopAll(nodes)
    }
  })

  it('finds its SU through the DHT, though nine of ten peers in it hide the SU and invent others', async () => {
    const nodes: TestNode[] = []
    try {
      const quiet = { directory: { refreshMs: 60_000, lifetimeMs: 120_000 } }
      const su = await new TestNode('hidden-su', { roles: ['SU'], ...quiet }).start()
      const honest = await new TestNode('honest', { bootstrap: [su.multiaddr], ...quiet }).start()
      nodes.push(su, honest)
      await eventually('the record of the SU is laid at the honest one', () => holds(honest, su.address), 20_000)
      honest.host.serveRecords() // tells none: nothing but the DHT brings the SU to the victim
      const sybils = await startNetwork(
        Array.from({ length: 9 }, (_, i) => `dht-sybil-${i}`),
        { directory: { targetConnections: 3 } },
      )
      nodes.push(...sybils)
      for (const sybil of sybils) conspire(sybil, sybils)
      const victim = await new TestNode('dht-victim', {
        bootstrap: [...sybils, honest].map(({ multiaddr }) => multiaddr),
        directory: { targetConnections: 4 },
      }).start()
      nodes.push(victim)
      await eventually('all are its neighbours', () => victim.host.peers.size >= 10, 20_000)
      assert.equal(victim.directory.get(su.address), undefined)
      const found = await victim.directory.waitFor(su.address, { signal: AbortSignal.timeout(40_000) })
      assert.equal(found.peer, su.host.peerId)
      assert.deepEqual(found.multiaddrs, su.host.multiaddrs)
    } finally {
      await stopAll(nodes)
    }
  })
})

/** What kad-dht has at run time and its exported interface lacks. */
interface Internals {
  readonly rpc: { readonly handlers: Record<string, { handle(from: unknown, message: Question): Promise<object> }> }
}
interface Question {
  readonly type: string
  readonly key?: Uint8Array
}

/** Whether a node keeps a share of the DHT with the record of that unit in it. */
async function holds(node: TestNode, address: Address): Promise<boolean> {
  const { rpc } = node.host.dht as unknown as Internals
  const from = peerIdFromString(peerIdOf(testJwk('asker')))
  const answer = await rpc.handlers['GET_VALUE']?.handle(from, { type: 'GET_VALUE', key: dhtKey(address) })
  return (answer as { record?: Uint8Array }).record !== undefined
}

/** From now on its DHT knows the conspirators and peers that there are not, keeps nothing, and tells no record. */
function conspire(sybil: TestNode, all: readonly TestNode[]): void {
  const { rpc } = sybil.host.dht as unknown as Internals
  const entry = (peer: string, address: string): object => ({
    id: peerIdFromString(peer).toMultihash().bytes,
    multiaddrs: [multiaddr(address).bytes],
  })
  const known = all.map(({ host, multiaddr: at }) => entry(host.peerId, at))
  const invented = (): object[] =>
    Array.from({ length: 5 }, () => entry(peerIdOf(generateKey('ed25519')), '/ip4/127.0.0.1/tcp/9'))
  for (const type of ['GET_VALUE', 'FIND_NODE', 'PUT_VALUE']) {
    rpc.handlers[type] = {
      handle: async (_from, message) => ({
        ...message,
        clusterLevel: 0,
        closer: [...invented(), ...known],
        providers: [],
      }),
    }
  }
}

const must = <T>(value: T | undefined): T => {
  assert.ok(value !== undefined)
  return value
}

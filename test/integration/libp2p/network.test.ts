import assert from 'node:assert/strict'
import { utf8 } from '../../../src/lib/bytes.ts'
import { eventually } from '../../support/eventually.ts'
import { startNetwork, stopAll, TestNode } from './test-node.ts'

describe('a network of five nodes over TCP, joined through one address', function () {
  this.timeout(40_000)
  let nodes: TestNode[]
  let extra: TestNode[]
  const nth = (index: number): TestNode => {
    const node = nodes[index]
    if (node === undefined) throw new Error(`no node ${index}`)
    return node
  }

  before(async () => {
    nodes = await startNetwork(['bootstrap', 'b', 'c', 'd', 'e'], { roles: ['CU'] })
  })
  beforeEach(() => {
    extra = []
  })
  afterEach(() => stopAll(extra))
  after(() => stopAll(nodes))

  it('teaches each node the records of all', async () => {
    await eventually('all know all', () => nodes.every(node => node.knows(nodes)), 10_000)
    for (const node of nodes) {
      assert.equal(node.directory.find('CU').length, 5, 'its own record is among them')
      assert.equal(node.directory.find('SU').length, 0)
    }
    const seen = nth(1).directory.get(nth(4).address)
    assert.equal(seen?.peer, nth(4).host.peerId)
    assert.deepEqual(seen?.multiaddrs, nth(4).host.multiaddrs)
  })

  it('links nodes with each other, so that none hangs on the bootstrap node alone', async () => {
    await eventually('all are linked', () => nodes.every(node => node.host.peers.size === 4), 10_000)
  })

  it('brings what one publishes to all others, each message once', async () => {
    const heard = nodes.map(() => [] as string[])
    const stops = nodes.map((node, i) =>
      node.gossip.subscribe('assignments', async bytes => {
        heard[i]?.push(Buffer.from(bytes).toString())
        return 'accept'
      }),
    )
    await eventually('subscriptions', () => nodes.every(node => node.gossip.subscribers('assignments').length === 4))
    const sent = Array.from({ length: 50 }, (_, i) => `assignment ${i} ${'x'.repeat(2000)}`)
    for (const text of sent) await nth(2).gossip.publish('assignments', utf8(text))
    await eventually('all are heard', () => heard.every((lines, i) => i === 2 || lines.length >= sent.length), 10_000)
    // Second copies come over other links within the same moment: one more round trip on every link lets them arrive.
    await nth(3).gossip.publish('assignments', utf8('after'))
    await eventually('the last is heard', () => heard.every((lines, i) => i === 3 || lines.includes('after')))
    for (const [i, lines] of heard.entries()) {
      const expected = i === 2 ? [] : sent
      assert.deepEqual(lines.filter(line => line !== 'after').sort(), [...expected].sort(), `node ${i}`)
    }
    for (const stop of stops) stop()
  })

  it('teaches a late joiner all records, and all of it', async () => {
    const late = new TestNode('late', { bootstrap: [nth(0).multiaddr], roles: ['MU'] })
    extra.push(late)
    await late.start()
    await eventually('the late one knows all', () => late.knows(nodes), 10_000)
    await eventually('all know the late one', () => nodes.every(node => node.knows([late])), 10_000)
    assert.equal((await nth(3).directory.waitFor(late.address)).roles[0], 'MU')
  })

  it('refuses a node of another network, on both sides, and says why', async () => {
    const stranger = new TestNode('stranger', { bootstrap: [nth(0).multiaddr], networkHash: 'Z'.repeat(43) })
    extra.push(stranger)
    await stranger.start()
    await eventually('it is refused', () => nth(0).host.otherNetworkPeers.includes(stranger.host.peerId))
    await eventually('it learns why', () => stranger.host.otherNetworkPeers.includes(nth(0).host.peerId))
    assert.deepEqual(stranger.events.find(({ event }) => event === 'peer-refused')?.facts, {
      peer: nth(0).host.peerId,
      reason: 'WRONG_NETWORK',
    })
    assert.equal(stranger.directory.all().length, 1, 'itself')
    assert.ok(!nodes.some(node => node.knows([stranger])))
    assert.ok(!nth(0).host.peers.has(stranger.host.peerId))
  })

  it('sinks a node that dies at once, without forgetting it', async () => {
    const victim = new TestNode('victim', { bootstrap: [nth(0).multiaddr] })
    extra.push(victim)
    await victim.start()
    await eventually('all know it', () => nodes.every(node => node.knows([victim])), 10_000)
    await eventually('it is linked', () => nodes.every(node => node.host.peers.has(victim.host.peerId)), 10_000)
    await victim.stop()
    await eventually('it is last', () =>
      nodes.every(node => node.directory.find('CU').at(-1)?.address === victim.address),
    )
    for (const node of nodes) assert.equal(node.directory.get(victim.address)?.address, victim.address)
  })

  it('survives the restart of its bootstrap node', async () => {
    const { multiaddr } = nth(0)
    const port = multiaddr.split('/')[4]
    await nth(0).stop()
    await eventually('it is gone', () => nodes.slice(1).every(node => !node.host.peers.has(nth(0).host.peerId)))
    const heard: string[] = []
    const stop = nth(4).gossip.subscribe('attestations', async bytes => {
      heard.push(Buffer.from(bytes).toString())
      return 'accept'
    })
    await eventually('subscribed', () => nth(1).gossip.subscribers('attestations').length === 1)
    await nth(1).gossip.publish('attestations', utf8('without the bootstrap node'))
    await eventually('the rest still hear each other', () => heard.length === 1)
    nodes[0] = await new TestNode('bootstrap', { listen: [`/ip4/127.0.0.1/tcp/${port}`] }).start()
    await eventually('it is found again', () => nodes.every(node => node.host.peers.size === 4), 15_000)
    await eventually('it knows all', () => nth(0).knows(nodes), 10_000)
    await eventually('it knows who listens', () => nth(0).gossip.subscribers('attestations').length === 1)
    await nth(0).gossip.publish('attestations', utf8('back'))
    await eventually('it is heard', () => heard.includes('back'))
    stop()
  })
})

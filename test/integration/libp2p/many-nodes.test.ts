import assert from 'node:assert/strict'
import { memory } from '@libp2p/memory'
import { utf8 } from '../../../src/lib/bytes.ts'
import { eventually } from '../../support/eventually.ts'
import { stopAll, TestNode } from './test-node.ts'

describe('twenty-four nodes in one process, over a transport of their own', function () {
  this.timeout(60_000)
  let nodes: TestNode[]

  before(async () => {
    nodes = Array.from({ length: 24 }, (_, i) => {
      const bootstrap = i === 0 ? [] : [`/memory/node-0/p2p/${new TestNode('node 0').host.peerId}`]
      const listen = [`/memory/node-${i}`]
      return new TestNode(`node ${i}`, {
        listen,
        bootstrap,
        transports: [memory()],
        dht: false,
        directory: { targetConnections: 4 },
      })
    })
    for (const node of nodes) await node.start()
  })
  after(() => stopAll(nodes))

  it('all learn of all, though none is linked to all', async () => {
    await eventually('all know all', () => nodes.every(node => node.knows(nodes)), 40_000)
    const links = nodes.slice(1).map(node => node.host.peers.size)
    assert.ok(
      links.some(count => count < 23),
      `links: ${links}`,
    )
  })

  it('hear what one publishes, once', async () => {
    const heard = nodes.map(() => 0)
    for (const [i, node] of nodes.entries()) {
      node.gossip.subscribe('evidence', async () => {
        heard[i] = (heard[i] ?? 0) + 1
        return 'accept'
      })
    }
    const ready = (node: TestNode): boolean => node.gossip.subscribers('evidence').length === node.host.peers.size
    await eventually('subscriptions', () => nodes.every(ready), 30_000)
    await nodes[11]?.gossip.publish('evidence', utf8('a proof'))
    await eventually('all hear', () => heard.every((count, i) => i === 11 || count >= 1), 10_000)
    await nodes[3]?.gossip.publish('evidence', utf8('another'))
    await eventually('all hear again', () => heard.every((count, i) => i === 3 || i === 11 || count >= 2), 10_000)
    assert.deepEqual(
      heard,
      nodes.map((_, i) => (i === 11 || i === 3 ? 1 : 2)),
    )
  })
})

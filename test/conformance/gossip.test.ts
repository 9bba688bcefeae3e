import { MemoryGossipHub } from '../../src/network/memory-gossip.ts'
import { type GossipTopic, gossipTopics } from '../../src/ports/peers.ts'
import { stopAll, TestNode } from '../integration/libp2p/test-node.ts'
import { eventually } from '../support/eventually.ts'
import { gossipSuite } from './gossip.ts'

gossipSuite('in memory', async () => {
  const hub = new MemoryGossipHub()
  const members = ['a', 'b', 'c'].map(name => hub.join(name))
  return { members, ready: async () => undefined, stop: () => hub.settled() }
})

gossipSuite('over libp2p', async () => {
  const nodes: TestNode[] = []
  for (const name of ['a', 'b', 'c']) {
    nodes.push(await new TestNode(name, { bootstrap: nodes.map(node => node.multiaddr) }).start())
  }
  await eventually('all are connected', () => nodes.every(node => node.host.peers.size === 2))
  // `unit-records` belongs to the directory of each node.
  for (const node of nodes) await node.directory.stop()
  const members = nodes.map(({ gossip }) => {
    const own = new Map<GossipTopic, unknown>()
    return {
      own,
      publish: gossip.publish.bind(gossip),
      isHeard: gossip.isHeard.bind(gossip),
      subscribe: (...[topic, judge]: Parameters<typeof gossip.subscribe>): (() => void) => {
        const stop = gossip.subscribe(topic, judge)
        own.set(topic, judge)
        return () => {
          if (own.get(topic) === judge) own.delete(topic)
          stop()
        }
      },
    }
  })
  const ready = (topics: readonly GossipTopic[]): Promise<unknown> =>
    eventually('subscriptions are known', () =>
      topics.every(topic =>
        nodes.every((node, i) => {
          const others = members.filter((other, j) => j !== i && other.own.has(topic)).length
          return node.gossip.subscribers(topic).length === others
        }),
      ),
    )
  await ready(gossipTopics)
  return {
    members,
    ready: async topics => {
      await ready(topics)
    },
    stop: async () => {
      await stopAll(nodes)
    },
  }
})

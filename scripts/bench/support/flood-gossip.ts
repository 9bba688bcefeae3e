import { gossipLimits } from '../../../src/network/libp2p/gossip-rates.ts'
import { peerIdOf } from '../../../src/network/libp2p/peer-key.ts'
import { type GossipTopic, gossipTopics } from '../../../src/ports/peers.ts'
import { stopAll, TestNode } from '../../../test/integration/libp2p/test-node.ts'
import { testJwk } from '../../../test/support/builders.ts'
import { eventually } from '../../../test/support/eventually.ts'
import { Flooder, type Siege } from './flooder.ts'

/** What honest ones speak on, whatever the flood is on. */
const voice: GossipTopic = 'attestations'
const idOf = (name: string): string => peerIdOf(testJwk(name))
const name = 'flooder'

/**
 * A flood of each topic at ten times what its author may, at a victim that stands between two honest nodes: what one says
 * reaches the other through it alone.
 */
export async function* gossipFloods(): AsyncIterable<Siege> {
  const victim = await new TestNode('victim', { dht: false }).start()
  const at = { bootstrap: [victim.multiaddr], dht: false }
  const speaker = await new TestNode('speaker', { ...at, deny: [idOf('listener'), idOf(name)] }).start()
  const listener = await new TestNode('listener', { ...at, deny: [idOf('speaker'), idOf(name)] }).start()
  const nodes = [victim, speaker, listener]
  const waiting = new Map<string, () => void>()
  listener.gossip.subscribe(voice, async bytes => {
    waiting.get(Buffer.from(bytes).toString('latin1'))?.()
    return 'accept'
  })
  for (const node of [victim, speaker]) node.gossip.subscribe(voice, async () => 'accept')
  for (const topic of gossipTopics) {
    if (topic !== voice && topic !== 'unit-records') victim.gossip.subscribe(topic, async () => 'accept')
  }
  let count = 0
  const honest = async (): Promise<void> => {
    const text = `honest ${++count}`
    const heard = new Promise<void>(resolve => waiting.set(text, resolve))
    await speaker.gossip.publish(voice, Buffer.from(text, 'latin1'))
    await heard
    waiting.delete(text)
  }
  const ready = (): boolean => victim.gossip.subscribers(voice).length >= 2 && speaker.gossip.isHeard(voice)
  try {
    await eventually('all listen', ready, 30_000)
    for (const topic of gossipTopics) {
      const perSecond = 10 * gossipLimits[topic].perSecond
      const prepare = (): Promise<Flooder> => {
        victim.host.ledger.forgive(idOf(name)) // it is banned since the last round
        return Flooder.prepare({ kind: 'gossip', name, topic, multiaddr: victim.multiaddr, perSecond })
      }
      yield { name: `gossip: ${topic}`, prepare, honest }
    }
  } finally {
    await stopAll(nodes)
  }
}

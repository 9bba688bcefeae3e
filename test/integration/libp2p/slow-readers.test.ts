import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { Stream } from '@libp2p/interface'
import { utf8 } from '../../../src/lib/bytes.ts'
import { maxGossipBytes } from '../../../src/network/libp2p/gossip-options.ts'
import { eventually } from '../../support/eventually.ts'
import { startNetwork, stopAll, type TestNode } from './test-node.ts'

/** Streams of gossip as gossipsub holds them. */
interface Streams {
  readonly streamsInbound: ReadonlyMap<string, { readonly rawStream: Stream }>
  readonly streamsOutbound: ReadonlyMap<string, { readonly rawStream: Stream & { readonly writeBufferLength: number } }>
}

describe('a neighbour that takes or gives gossip badly', function () {
  this.timeout(60_000)
  let nodes: TestNode[]
  const nth = (index: number): TestNode => nodes[index] as TestNode
  const streams = (node: TestNode): Streams => node.host.pubsub as unknown as Streams
  const heard = new Map<string, number>()

  beforeEach(async () => {
    heard.clear()
    nodes = await startNetwork(['speaker', 'listener', 'bad'], { dht: false })
    for (const node of nodes) {
      node.gossip.subscribe('assignments', async () => {
        heard.set(node.name, (heard.get(node.name) ?? 0) + 1)
        return 'ignore' // so that each hears it from the speaker alone
      })
    }
    await eventually(
      'all listen',
      () => nodes.every(node => node.gossip.subscribers('assignments').length === 2),
      15_000,
    )
    // The watch has to have seen the streams before it can tell that one is gone.
    await new Promise(resolve => setTimeout(resolve, 5_500))
  })
  afterEach(() => stopAll(nodes))

  it('holds no more than 16 MiB for one that stops reading, cuts it off, shows it, and serves the others', async () => {
    const [speaker, bad] = [nth(0), nth(2)]
    streams(bad).streamsInbound.get(speaker.host.peerId)?.rawStream.pause()
    const waiting = (): number =>
      streams(speaker).streamsOutbound.get(bad.host.peerId)?.rawStream.writeBufferLength ?? 0
    let most = 0
    const count = 120 // 29 MiB
    for (let i = 0; i < count; i++) {
      await speaker.gossip.publish('assignments', randomBytes(maxGossipBytes - 1024))
      most = Math.max(most, waiting())
      await new Promise(resolve => setImmediate(resolve))
    }
    assert.ok(most > 4 * maxGossipBytes, `${most} bytes waited`)
    assert.ok(most <= 64 * maxGossipBytes, `${most} bytes waited`)
    await eventually('the other hears all', () => heard.get('listener') === count, 20_000)
    await eventually('it is shown', () => (speaker.shown(bad.host.peerId)?.offences['gossip-mute'] ?? 0) > 0, 20_000)
    assert.equal(speaker.shown(bad.host.peerId)?.lastOffence, 'gossip-mute')
    assert.deepEqual(speaker.shown(nth(1).host.peerId)?.offences, {})
  })

  it('reads no frame above 4 MiB: its stream ends there, and it is shown', async () => {
    const [victim, bad] = [nth(0), nth(2)]
    const { rawStream } = streams(bad).streamsOutbound.get(victim.host.peerId) ?? {}
    assert.ok(rawStream)
    // Says that a gigabyte follows, and goes on as if it did.
    rawStream.send(Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x04))
    for (let i = 0; i < 64 && rawStream.status === 'open'; i++) {
      rawStream.send(new Uint8Array(65_536))
      await new Promise(resolve => setTimeout(resolve, 5))
    }
    await eventually('it is shown', () => (victim.shown(bad.host.peerId)?.offences['gossip-mute'] ?? 0) > 0, 25_000)
    await nth(1).gossip.publish('assignments', utf8('from another'))
    await eventually('others are heard', () => (heard.get('speaker') ?? 0) > 0, 10_000)
  })
})

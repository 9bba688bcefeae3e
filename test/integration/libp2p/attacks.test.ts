import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { gossipsub, StrictNoSign } from '@libp2p/gossipsub'
import { createLibp2p } from 'libp2p'
import { utf8 } from '../../../src/lib/bytes.ts'
import { encodeEnvelope } from '../../../src/network/libp2p/envelope.ts'
import { gossipOptions } from '../../../src/network/libp2p/gossip-options.ts'
import { gossipLimits } from '../../../src/network/libp2p/gossip-rates.ts'
import { defaultHostLimits, hostConfig } from '../../../src/network/libp2p/host-config.ts'
import { recordsProtocol, topicName } from '../../../src/network/libp2p/names.ts'
import { sendNoRecords } from '../../../src/network/libp2p/record-exchange.ts'
import { type GossipTopic, gossipTopics } from '../../../src/ports/peers.ts'
import { draftUnitRecord } from '../../../src/protocol/unit-record.ts'
import { anItem, testJwk, testSigner } from '../../support/builders.ts'
import { eventually } from '../../support/eventually.ts'
import { network, startNetwork, stopAll, TestNode } from './test-node.ts'

describe('attacks on gossip', function () {
  this.timeout(60_000)
  let nodes: TestNode[]
  const nth = (index: number): TestNode => nodes[index] as TestNode

  beforeEach(async () => {
    nodes = await startNetwork(['victim', 'honest-1', 'honest-2'], { dht: false })
    await eventually('all know all', () => nodes.every(node => node.knows(nodes)), 15_000)
  })
  afterEach(() => stopAll(nodes))

  /** What the others hear on a topic, by who says it. */
  const listen = (topic: GossipTopic): Map<string, Uint8Array[]> => {
    const heard = new Map<string, Uint8Array[]>()
    for (const node of nodes.slice(0, 3)) {
      node.gossip.subscribe(topic, async bytes => {
        const key = `${Buffer.from(bytes).toString('latin1').split(' ')[0]} at ${node.name}`
        const soFar = heard.get(key) ?? []
        soFar.push(bytes)
        heard.set(key, soFar)
        return 'accept'
      })
    }
    return heard
  }

  for (const topic of gossipTopics) {
    it(`a peer that floods ${topic} at ten times its limit is held to it, banned and shown, and honest ones are heard`, async () => {
      const { perSecond, burst } = gossipLimits[topic]
      const heard = topic === 'unit-records' ? undefined : listen(topic)
      const voice = topic === 'evidence' ? heard : listen('evidence')
      const flooder = await new TestNode('flooder', { bootstrap: [nth(0).multiaddr], dht: false }).start()
      nodes.push(flooder)
      if (heard !== undefined) flooder.gossip.subscribe(topic, async () => 'ignore')
      const ready = (node: TestNode): boolean =>
        [topic, 'evidence' as const].every(each => node.gossip.subscribers(each).length >= (node === flooder ? 1 : 2))
      await eventually('all listen', () => nodes.every(ready), 10_000)
      let renewed = 0
      nth(1).directory.onChange(({ address }) => {
        if (address === flooder.address) renewed++
      })
      const passed = (): number => (heard === undefined ? renewed : (heard.get('flooder at honest-1')?.length ?? 0))
      const prerecorded = await flood(topic, flooder)
      const say = (i: number): Promise<void> => nth(1).gossip.publish('evidence', utf8(`honest ${i}`))
      const began = Date.now()
      for (const [i, message] of prerecorded.entries()) {
        await flooder.host.pubsub.publish(topicName(network, topic), message).catch(() => undefined)
        if (i % 100 === 0) await say(i)
      }
      const said = Math.ceil(prerecorded.length / 100)
      await eventually('it is banned', () => nth(0).host.ledger.isBanned(flooder.host.peerId), 10_000)
      await eventually('honest ones are heard', () => voice?.get('honest at honest-2')?.length === said, 10_000)
      const allowed = burst + Math.ceil(((Date.now() - began) / 1000) * perSecond) + 2
      assert.ok(passed() <= allowed, `${passed()} got through, ${allowed} may`)
      const row = nth(0).shown(flooder.host.peerId)
      assert.equal(row?.state, 'banned')
      assert.equal(row.lastOffence, 'gossip-rate')
      assert.ok(row.points >= 90 && row.bannedUntil > Date.now(), JSON.stringify(row))
      await eventually('it is hung up on', () => !nth(0).host.peers.has(flooder.host.peerId), 5_000)
      assert.deepEqual(nth(0).shown(nth(1).host.peerId)?.offences, {}, 'forwarding is no offence')
    })
  }

  it('never shows its judge what no peer has signed, and what is signed for another', async () => {
    const heard = listen('messages')
    const options = {
      ...{ privateKey: testJwk('modified'), listen: ['/ip4/127.0.0.1/tcp/0'], bootstrap: [], mdns: false, dht: false },
      ...{ networkHash: network, allowSameIp: true, version: 'x', limits: defaultHostLimits },
    }
    const config = await hostConfig(options, { isRefused: () => false, scoreOf: () => 0, blame: () => undefined })
    const modified = await createLibp2p({
      ...config,
      services: {
        ...config.services,
        pubsub: gossipsub({ ...gossipOptions(network, { allowSameIp: true }), globalSignaturePolicy: StrictNoSign }),
      },
    } as unknown as Parameters<typeof createLibp2p>[0])
    await modified.handle(recordsProtocol(network), sendNoRecords as never)
    await modified.start()
    try {
      const { multiaddr } = await import('@multiformats/multiaddr')
      await modified.dial(multiaddr(nth(0).multiaddr))
      await eventually('it is a peer', () => nth(0).host.peers.has(modified.peerId.toString()))
      const pubsub = modified.services['pubsub'] as unknown as {
        publish(topic: string, data: Uint8Array): Promise<unknown>
        getSubscribers(topic: string): unknown[]
        subscribe(topic: string): void
      }
      const name = topicName(network, 'messages')
      pubsub.subscribe(name)
      await eventually('it sees who listens', () => pubsub.getSubscribers(name).length > 0)
      for (let i = 0; i < 5; i++) {
        await pubsub.publish(name, encodeEnvelope([utf8(`unsigned ${i} x`)]))
      }
      await nth(1).gossip.publish('messages', utf8('after 0 x'))
      await eventually('what came after is heard', () => heard.has('after at victim'))
      assert.deepEqual(
        [...heard.keys()].filter(key => key.startsWith('unsigned')),
        [],
      )
      const row = nth(0).shown(modified.peerId.toString())
      assert.equal(row?.lastOffence, 'gossip-unsigned')
      assert.ok((row.offences['gossip-unsigned'] ?? 0) >= 3 && row.invalidGossip >= 2, JSON.stringify(row))
      await eventually('its score is below the gray list', () => {
        return (nth(0).shown(modified.peerId.toString())?.score ?? 0) < -60
      })
    } finally {
      await modified.stop()
    }
  })

  it('takes no record that is forged, replayed, expired, from the future or too large, and forgives none twelve times', async () => {
    const liar = await new TestNode('liar', { bootstrap: [nth(0).multiaddr], dht: false }).start()
    nodes.push(liar)
    await eventually('it is in', () => liar.gossip.subscribers('unit-records').length >= 1)
    const own = must(liar.directory.get(liar.address))
    const signer = testSigner('liar')
    const now = Date.now()
    const later = (fields: object) => signer.sign(draftUnitRecord({ ...own, issuedAt: now + 1, ...fields }))
    const bad: Uint8Array[] = [
      (await later({ expiresAt: now + 3_600_000 })).raw,
      (await later({ peer: nth(1).host.peerId, multiaddrs: [] })).raw,
      (await later({ certificate: new Uint8Array(9_000) })).raw,
      (await anItem({ data: utf8('no record') }, signer)).raw,
    ]
    const replayed = must(liar.directory.get(nth(1).address))
    await eventually('a later record is known', () => {
      return must(nth(0).directory.get(nth(1).address)).issuedAt > replayed.issuedAt
    })
    const quiet: Uint8Array[] = [
      replayed.raw,
      (await later({ issuedAt: now - 200_000, expiresAt: now - 110_000 })).raw,
      (await later({ issuedAt: now + 500_000, expiresAt: now + 560_000 })).raw,
    ]
    const inject = (bytes: Uint8Array): Promise<unknown> =>
      liar.host.pubsub.publish(topicName(network, 'unit-records'), encodeEnvelope([bytes])).catch(() => undefined)
    for (const bytes of quiet) await inject(bytes)
    for (const bytes of bad) await inject(bytes)
    for (let i = 0; i < 30; i++) await inject(randomBytes(200))
    await eventually('it is gray', () => nth(0).gossip.scoreOf(liar.host.peerId) < -60, 10_000)
    const row = nth(0).shown(liar.host.peerId)
    assert.ok((row?.offences['gossip-invalid'] ?? 0) >= 3 && (row?.score ?? 0) < -60, JSON.stringify(row))
    assert.ok(must(nth(0).directory.get(nth(1).address)).issuedAt > replayed.issuedAt, 'nothing is turned back')
    const held = must(nth(0).directory.get(liar.address))
    assert.ok(held.issuedAt <= Date.now() && held.expiresAt - held.issuedAt === 90_000, 'only honest ones are held')
  })
})

/** More than ten times what the topic allows at once, as fast as it can be sent; for a ban there must be 500 above it. */
async function flood(topic: GossipTopic, by: TestNode): Promise<readonly Uint8Array[]> {
  const { burst } = gossipLimits[topic]
  const perMessage = burst > 1_000 ? 40 : 1
  const count = Math.max((10 * burst) / perMessage, 600 + burst / perMessage)
  if (topic !== 'unit-records') {
    const item = (): Uint8Array => Buffer.concat([utf8('flooder '), randomBytes(100)])
    return Array.from({ length: count }, () => encodeEnvelope(Array.from({ length: perMessage }, item)))
  }
  const own = must(by.directory.get(by.address))
  const signer = testSigner('flooder')
  const records: Uint8Array[] = []
  for (let i = 1; i <= count; i++) {
    const times = { issuedAt: own.issuedAt + i, expiresAt: own.expiresAt + i }
    records.push(encodeEnvelope([(await signer.sign(draftUnitRecord({ ...own, ...times }))).raw]))
  }
  return records
}

const must = <T>(value: T | undefined): T => {
  assert.ok(value !== undefined)
  return value
}

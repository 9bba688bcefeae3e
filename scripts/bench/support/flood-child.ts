// A peer that floods: prepares what it will send, says so, and then does as it is told.
import { randomBytes } from 'node:crypto'
import { Client, Metadata } from '@grpc/grpc-js'
import { utf8 } from '../../../src/lib/bytes.ts'
import { createCertificate } from '../../../src/network/grpc/certificate.ts'
import { pinnedCredentials } from '../../../src/network/grpc/pinned-credentials.ts'
import { encodeEnvelope } from '../../../src/network/libp2p/envelope.ts'
import { topicName } from '../../../src/network/libp2p/names.ts'
import type { GossipTopic } from '../../../src/ports/peers.ts'
import { draftUnitRecord } from '../../../src/protocol/unit-record.ts'
import { network, TestNode } from '../../../test/integration/libp2p/test-node.ts'
import { testSigner } from '../../../test/support/builders.ts'
import { eventually } from '../../../test/support/eventually.ts'
import type { FloodOrder, FloodPlan, FloodReport } from './flooder.ts'

/** Items in one message of gossip where a topic takes hundreds a second. */
const together = 40
const seconds = 3

interface Sender {
  readonly perSecond: number
  readonly send: (i: number) => void
}

async function gossipSender({
  name: who,
  topic,
  multiaddr,
  perSecond,
}: FloodPlan & { kind: 'gossip' }): Promise<Sender> {
  const node = await new TestNode(who, { bootstrap: [multiaddr], dht: false }).start()
  const name = topicName(network, topic as GossipTopic)
  if (topic !== 'unit-records') node.gossip.subscribe(topic as GossipTopic, async () => 'ignore')
  await eventually('the victim listens', () => node.gossip.subscribers(topic as GossipTopic).length > 0, 30_000)
  const items = perSecond > 1_000 ? together : 1
  const messages = await recorded(node, topic, { count: (seconds * perSecond) / items, items })
  return {
    perSecond: perSecond / items,
    send: i => void node.host.pubsub.publish(name, messages[i % messages.length] as Uint8Array).catch(() => undefined),
  }
}

async function recorded(
  node: TestNode,
  topic: string,
  { count, items }: { readonly count: number; readonly items: number },
): Promise<readonly Uint8Array[]> {
  if (topic !== 'unit-records') {
    const item = (): Uint8Array => Buffer.concat([utf8('flood '), randomBytes(300)])
    return Array.from({ length: count }, () => encodeEnvelope(Array.from({ length: items }, item)))
  }
  const own = await eventually('its record', () => node.directory.get(node.address))
  const signer = testSigner(node.name)
  const records: Uint8Array[] = []
  for (let i = 0; i < count; i++) {
    records.push(encodeEnvelope([(await signer.sign(draftUnitRecord({ ...own, issuedAt: own.issuedAt + i + 1 }))).raw]))
  }
  return records
}

async function grpcSender({ port, certificate, paths, perSecond }: FloodPlan & { kind: 'grpc' }): Promise<Sender> {
  const own = await createCertificate({ commonName: testSigner('flooder').address })
  const client = new Client(`dns:127.0.0.1:${port}`, pinnedCredentials(Buffer.from(certificate, 'base64'), own), {
    'grpc.ssl_target_name_override': 'aonet',
  })
  const same = (bytes: Buffer): Buffer => bytes
  const nothing = Buffer.alloc(0)
  return {
    perSecond,
    send: i => {
      const path = paths[i % paths.length] ?? ''
      const deadline = { deadline: Date.now() + 10_000 }
      client.makeUnaryRequest(path, same, same, nothing, new Metadata(), deadline, () => undefined)
    },
  }
}

const cpuMs = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}
const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

let at = 0
async function flood({ perSecond, send }: Sender, ms: number): Promise<FloodReport> {
  const [began, before, first] = [performance.now(), cpuMs(), at]
  for (let now = began; now < began + ms; now = performance.now()) {
    const due = first + Math.floor(((now - began) * perSecond) / 1000)
    while (at < due) send(at++)
    await pause(2)
  }
  return { cpuMs: cpuMs() - before, count: at - first }
}

async function burn(ms: number, share: number): Promise<FloodReport> {
  const [began, before] = [performance.now(), cpuMs()]
  for (let now = began; now < began + ms; now = performance.now()) {
    // Never beyond the time: the flooder may have used more than one core, which one that spins cannot.
    while (performance.now() < began + ms && cpuMs() - before < ((performance.now() - began) * share) / ms)
      randomBytes(256)
    await pause(2)
  }
  return { cpuMs: cpuMs() - before, count: 0 }
}

const plan = JSON.parse(process.argv[2] ?? '') as FloodPlan
const sender = await (plan.kind === 'gossip' ? gossipSender(plan) : grpcSender(plan))
process.once('disconnect', () => process.exit(0))
process.on('message', async (order: FloodOrder) => {
  process.send?.(await (order.order === 'flood' ? flood(sender, order.ms) : burn(order.ms, order.cpuMs)))
})
process.send?.('ready')

import assert from 'node:assert/strict'
import type { Transport } from '@libp2p/interface'
import { memory } from '@libp2p/memory'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Libp2pOptions } from 'libp2p'
import { utf8 } from '../../../src/lib/bytes.ts'
import { eventually } from '../../support/eventually.ts'
import { SeededRandom } from '../../support/random.ts'
import { stopAll, TestNode } from './test-node.ts'

const slow = process.env['AONET_SLOW_TESTS'] === '1'
const size = slow ? 16 : 8

describe(`faults between ${size} nodes, over links in memory`, function () {
  this.timeout(120_000)
  let nodes: TestNode[]
  /** Whether a link is cut, by the numbers of the nodes. */
  let cut: (from: number, to: number) => boolean
  const heard = new Map<string, Set<string>>()
  const nameOf = (i: number): string => `fault-${i}`
  const sideOf = (i: number): number => i % 2

  const transportOf =
    (from: number): NonNullable<Libp2pOptions['transports']>[number] =>
    components => {
      const transport = memory()(components as never) as Transport
      const dial = transport.dial.bind(transport)
      transport.dial = async (address: Multiaddr, options) => {
        const to = Number(/fault-([0-9]+)/.exec(address.toString())?.[1])
        if (cut(from, to)) throw new Error('the link is cut')
        const connection = await dial(address, options)
        if (!cut(from, to)) return connection
        connection.abort(new Error('the link was cut'))
        throw new Error('the link is cut')
      }
      return transport
    }

  const start = async (i: number, bootstrap: readonly string[]): Promise<TestNode> => {
    const node = new TestNode(nameOf(i), {
      ...{ listen: [`/memory/${nameOf(i)}`], bootstrap, transports: [transportOf(i)], dht: false },
      directory: { targetConnections: 4, refreshMs: 2_000, lifetimeMs: 60_000 },
    })
    node.gossip.subscribe('evidence', async bytes => {
      const text = Buffer.from(bytes).toString()
      heard.set(text, (heard.get(text) ?? new Set()).add(node.name))
      return 'accept'
    })
    return node.start()
  }
  /** Resolves when all these have heard what one of them says. */
  const reaches = async (from: TestNode, to: readonly TestNode[], text: string): Promise<void> => {
    await from.gossip.publish('evidence', utf8(text))
    const others = to.filter(node => node !== from)
    await eventually(`${text} is heard`, () => others.every(({ name }) => heard.get(text)?.has(name)), 20_000)
  }
  const linked = (among: readonly TestNode[]): boolean =>
    among.every(({ gossip }) => gossip.subscribers('evidence').length >= Math.min(2, among.length - 1))

  beforeEach(async () => {
    cut = () => false
    heard.clear()
    const first = await start(0, [])
    nodes = [first]
    for (let i = 1; i < size; i++) nodes.push(await start(i, [first.multiaddr]))
    await eventually('all know all', () => nodes.every(node => node.knows(nodes)), 40_000)
    await eventually('all are linked', () => linked(nodes), 40_000)
  })
  afterEach(() => stopAll(nodes))

  it('goes on in both halves of a partition, and is one network again soon after it heals', async () => {
    cut = (from, to) => sideOf(from) !== sideOf(to)
    const halves = [0, 1].map(side => nodes.filter((_, i) => sideOf(i) === side))
    const [left = [], right = []] = halves
    const across = (node: TestNode, others: readonly TestNode[]): TestNode[] =>
      others.filter(({ host }) => node.host.peers.has(host.peerId))
    // Also connections whose peer has not said yet who it is.
    const part = (): Promise<unknown> =>
      Promise.all(left.flatMap(({ host }) => right.map(other => host.hangUp(other.host.peerId))))
    await part()
    await eventually('the halves are apart', () => left.every(node => across(node, right).length === 0), 20_000)
    await part()
    await eventually('each is whole', () => linked(left) && linked(right), 40_000)
    for (const [i, half] of halves.entries()) await reaches(half[1] as TestNode, half, `half ${i}`)
    assert.ok(!right.some(({ name }) => heard.get('half 0')?.has(name)), 'nothing crosses the cut')
    const late = await start(size * 2, [left[1]?.multiaddr ?? ''])
    nodes.push(late)
    left.push(late)
    await eventually('its half knows a newcomer', () => left.every(node => node.knows([late])), 20_000)
    assert.ok(!right.some(node => node.knows([late])))
    cut = () => false
    // Bootstrap dials and the connector pause up to a minute for peers they could not reach for long; here some seconds.
    await eventually('the halves meet', () => right.some(node => across(node, left).length > 0), 60_000)
    await eventually('all know the newcomer', () => nodes.every(node => node.knows([late])), 60_000)
    await reaches(right[0] as TestNode, nodes, 'whole again')
    for (const node of nodes) assert.deepEqual(node.host.ledger.list(), [], 'nobody is blamed for a cut link')
  })

  it('brings nearly all messages to all where three frames of ten are lost', async () => {
    const random = new SeededRandom(7)
    let lost = 0
    let sent = 0
    const lossy = new WeakSet<object>()
    const spoil = (): void => {
      for (const { host } of nodes) {
        const streams = host.pubsub.streamsOutbound as ReadonlyMap<string, { push(data: unknown): void }>
        for (const stream of streams.values()) {
          if (lossy.has(stream)) continue
          lossy.add(stream)
          const push = stream.push.bind(stream)
          stream.push = data => {
            sent++
            if (random.below(10) < 3) lost++
            else push(data)
          }
        }
      }
    }
    spoil()
    const count = slow ? 100 : 20
    for (let i = 0; i < count; i++) {
      spoil()
      await nodes[i % size]?.gossip.publish('evidence', utf8(`lossy ${i}`))
      await new Promise(resolve => setTimeout(resolve, 20))
    }
    // Gossip promises nothing; what must arrive is asked for again by whoever misses it.
    const share = (): number =>
      Array.from({ length: count }, (_, i) => heard.get(`lossy ${i}`)?.size ?? 0).reduce((a, b) => a + b, 0) /
      (count * (size - 1))
    await eventually('nine of ten are heard', () => share() >= 0.9, 20_000)
    await eventually('records get through', () => nodes.every(node => node.knows(nodes)), 20_000)
    assert.ok(lost > 0.2 * sent, `${lost} of ${sent} frames lost`)
    for (const node of nodes) assert.deepEqual(node.host.ledger.list(), [], 'nobody is blamed for a lossy link')
  })

  it('is whole again soon after all its nodes start at once, and nobody is blamed for it', async () => {
    const before = nodes.map(({ multiaddr }) => multiaddr)
    await Promise.all(nodes.map(node => node.stop()))
    nodes = await Promise.all(nodes.map((_, i) => start(i, i === 0 ? [] : [before[0] ?? ''])))
    await eventually('all know all', () => nodes.every(node => node.knows(nodes)), 40_000)
    await eventually('all are linked', () => linked(nodes), 40_000)
    await reaches(nodes[1] as TestNode, nodes, 'after the storm')
    for (const node of nodes) assert.deepEqual(node.host.ledger.list(), [], 'nobody is blamed for a storm')
  })

  it('keeps talking while nodes come and go', async () => {
    const stable = [...nodes]
    const rounds = slow ? 20 : 4
    let last: TestNode | undefined
    for (let i = 0; i < rounds; i++) {
      const began = Date.now()
      const comer = await start(100 + i, [stable[i % size]?.multiaddr ?? ''])
      nodes.push(comer)
      await Promise.all([reaches(stable[(i + 3) % size] as TestNode, stable, `churn ${i}`), last?.stop()])
      last = comer
      await new Promise(resolve => setTimeout(resolve, began + 1_000 - Date.now())) // one a second
    }
    assert.ok(last)
    const comer = last
    await eventually('the last one knows all that stayed', () => comer.knows(stable), 20_000)
    for (const node of stable) assert.deepEqual(node.host.ledger.list(), [], 'nobody is blamed for going')
  })
})

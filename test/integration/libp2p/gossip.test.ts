import assert from 'node:assert/strict'
import type { Stream } from '@libp2p/interface'
import { utf8 } from '../../../src/lib/bytes.ts'
import { AoError } from '../../../src/lib/errors.ts'
import { encodeEnvelope } from '../../../src/network/libp2p/envelope.ts'
import { topicName } from '../../../src/network/libp2p/names.ts'
import type { Verdict } from '../../../src/ports/peers.ts'
import { eventually } from '../../support/eventually.ts'
import { network, stopAll, TestNode } from './test-node.ts'

/** Three nodes in a line, a – b – c: what reaches c from a was forwarded by b. */
describe('gossip along a line of three nodes', function () {
  this.timeout(30_000)
  let nodes: TestNode[]
  let heard: { readonly who: string; readonly text: string }[]
  let judge: (who: string, bytes: Uint8Array) => Verdict | Promise<Verdict>
  const node = (name: string): TestNode => {
    const found = nodes.find(one => one.name === name)
    if (found === undefined) throw new Error(`no node ${name}`)
    return found
  }
  const publish = (name: string, text: string): Promise<void> => node(name).gossip.publish('attestations', utf8(text))
  const heardBy = (who: string): readonly string[] => heard.filter(entry => entry.who === who).map(({ text }) => text)
  /** Sends bytes past our own publish, as a node with other software could. */
  const inject = (name: string, data: Uint8Array): Promise<unknown> =>
    node(name).host.pubsub.publish(topicName(network, 'attestations'), data)

  beforeEach(async () => {
    nodes = []
    for (const name of ['a', 'b', 'c']) {
      const bootstrap = nodes.slice(-1).map(previous => previous.multiaddr)
      nodes.push(await new TestNode(name, { bootstrap, dht: false, directory: { targetConnections: 0 } }).start())
    }
    heard = []
    judge = () => 'accept'
    for (const { name, gossip } of nodes) {
      gossip.subscribe('attestations', async bytes => {
        heard.push({ who: name, text: Buffer.from(bytes).toString().slice(0, 40) })
        return judge(name, bytes)
      })
    }
    await eventually('the line stands', () =>
      [1, 2, 1].every((count, i) => nodes[i]?.gossip.subscribers('attestations').length === count),
    )
    // b forwards only within its mesh.
    const mesh = (): number => node('b').host.pubsub.getMeshPeers(topicName(network, 'attestations')).length
    await eventually('b has both in its mesh', () => mesh() === 2)
  })
  afterEach(() => stopAll(nodes))

  it('forwards what is accepted', async () => {
    await publish('a', 'good')
    await eventually('c hears', () => heardBy('c').length === 1)
    assert.deepEqual(heardBy('a'), [], 'the publisher is not asked')
    assert.ok(node('b').gossip.scoreOf(node('a').host.peerId) >= 0)
  })

  for (const [what, verdict, blamed] of [
    ['INVALID_ASSIGNMENT', new AoError('INVALID_ASSIGNMENT', 'forged'), true],
    ['the verdict reject', 'reject', true],
    ['UNKNOWN_PROCESS', new AoError('UNKNOWN_PROCESS', 'not here'), false],
    ['the verdict ignore', 'ignore', false],
    ['a bug of the judge', new TypeError('oops'), false],
  ] as const) {
    it(`does not forward what gets ${what}, and ${blamed ? 'lowers' : 'keeps'} the sender's score`, async () => {
      judge = (who, bytes) => {
        if (who !== 'b' || !Buffer.from(bytes).toString().startsWith('bad')) return 'accept'
        if (typeof verdict === 'string') return verdict
        throw verdict
      }
      await publish('a', 'bad')
      await eventually('b hears', () => heardBy('b').includes('bad'))
      await publish('a', 'good')
      await eventually('c hears the next', () => heardBy('c').includes('good'))
      const score = (): number => node('b').gossip.scoreOf(node('a').host.peerId)
      // Scores are cached for a second.
      if (blamed) await eventually('the score fell', () => score() < -5)
      else assert.ok(score() >= 0, `score ${score()}`)
      assert.deepEqual(heardBy('c'), ['good'])
    })
  }

  it('stops listening to a neighbour after three bad messages', async () => {
    judge = who => (who === 'b' ? 'reject' : 'accept')
    for (const text of ['bad 1', 'bad 2', 'bad 3']) await publish('a', text)
    await eventually('b hears all', () => heardBy('b').length === 3)
    await eventually('below the gray line', () => node('b').gossip.scoreOf(node('a').host.peerId) < -60)
    await publish('a', 'bad 4')
    await publish('c', 'from the other side')
    await eventually('b hears c', () => heardBy('b').includes('from the other side'))
    assert.ok(!heardBy('b').includes('bad 4'))
    assert.deepEqual(heardBy('c'), [])
  })

  it('rejects what is too large or no envelope, whoever made it', async () => {
    await assert.rejects(publish('a', 'x'.repeat(256 * 1024 + 1)), { code: 'TOO_LARGE' })
    await inject('a', encodeEnvelope([Buffer.alloc(256 * 1024 + 1, 'y')]))
    await inject('a', utf8('no envelope'))
    await eventually('the score fell', () => node('b').gossip.scoreOf(node('a').host.peerId) < -20)
    assert.deepEqual(heard, [])
    const codes = node('b')
      .events.filter(({ event }) => event === 'gossip-not-accepted')
      .map(({ facts }) => facts['code'])
    assert.deepEqual(codes.sort(), ['INVALID_DATA_ITEM', 'TOO_LARGE'])
  })

  it('opens a new connection where gossip has silently ended', async () => {
    // What a reset does: the buffer ran over, or the far end gave up. The connection itself stays.
    const stream = node('a').host.pubsub.streamsOutbound.get(node('b').host.peerId) as { rawStream: Stream } | undefined
    assert.ok(stream)
    stream.rawStream.abort(new Error('reset by the test'))
    await eventually(
      'it is noticed',
      () => node('a').logged('gossip-stream-lost') || node('b').logged('gossip-stream-lost'),
      15_000,
    )
    const { pubsub } = node('a').host
    const meets = (): boolean =>
      pubsub.streamsOutbound.has(node('b').host.peerId) && node('a').gossip.subscribers('attestations').length === 1
    await eventually('they meet again', meets, 15_000)
    await publish('a', 'after')
    await eventually('gossip flows', () => heardBy('b').includes('after'), 10_000)
  })

  it('judges a bounded number at once and ignores the rest', async () => {
    let running = 0
    let most = 0
    let release = (): void => undefined
    const gate = new Promise<void>(resolve => {
      release = resolve
    })
    judge = async (who): Promise<Verdict> => {
      if (who !== 'b') return 'accept'
      running += 1
      most = Math.max(most, running)
      await gate
      running -= 1
      return 'accept'
    }
    for (let i = 0; i < 300; i++) await publish('a', `message ${i}`)
    await eventually('b is full', () => most >= 256)
    await publish('c', 'one too many')
    release()
    await eventually('all are judged', () => running === 0)
    assert.equal(most, 256)
    await publish('a', 'and on')
    await eventually('b hears again', () => heardBy('b').includes('and on'))
  })

  it('takes nothing before start and after stop', async () => {
    const idle = new TestNode('idle')
    await assert.rejects(idle.gossip.publish('messages', utf8('early')), { code: 'NOT_READY' })
    await node('a').gossip.stop()
    await assert.rejects(publish('a', 'late'), { code: 'NOT_READY' })
    await node('a').gossip.stop()
  })
})

import assert from 'node:assert/strict'
import { utf8 } from '../../src/lib/bytes.ts'
import { AoError } from '../../src/lib/errors.ts'
import { type Gossip, type GossipTopic, gossipTopics } from '../../src/ports/peers.ts'
import { eventually } from '../support/eventually.ts'

/** Three participants who hear each other. */
export interface GossipNetwork {
  readonly members: readonly Gossip[]
  /** Resolves when what is published on the topics reaches the members that subscribed. */
  ready(topics: readonly GossipTopic[]): Promise<void>
  stop(): Promise<void>
}

/** What every Gossip promises. */
export function gossipSuite(name: string, open: () => Promise<GossipNetwork>): void {
  describe(`Gossip: ${name}`, () => {
    let network: GossipNetwork
    let heard: string[]
    /** The member at `index` writes down what it hears as `index:topic:text`. */
    const listen = (index: number, topic: GossipTopic, verdict?: () => never): (() => void) =>
      member(index).subscribe(topic, async bytes => {
        heard.push(`${index}:${topic}:${Buffer.from(bytes).toString().slice(0, 20)}`)
        verdict?.()
        return 'accept'
      })
    const member = (index: number): Gossip => {
      const found = network.members[index]
      if (found === undefined) throw new Error(`no member ${index}`)
      return found
    }
    const heardSorted = (): readonly string[] => [...heard].sort()

    beforeEach(async () => {
      network = await open()
      heard = []
    })
    afterEach(() => network.stop())

    it('shows a message to all others once and never to its publisher', async () => {
      for (const index of [0, 1, 2]) listen(index, 'assignments')
      await network.ready(['assignments'])
      await member(0).publish('assignments', utf8('hello'))
      await eventually('both heard', () => heard.length >= 2)
      await member(0).publish('assignments', utf8('hello'))
      await member(1).publish('assignments', utf8('last'))
      await eventually('the last is heard', () => heard.filter(line => line.endsWith('last')).length >= 2)
      assert.deepEqual(heardSorted(), [
        '0:assignments:last',
        '1:assignments:hello',
        '2:assignments:hello',
        '2:assignments:last',
      ])
    })

    it('keeps topics apart, also for equal bytes', async () => {
      for (const topic of gossipTopics) listen(1, topic)
      await network.ready(gossipTopics)
      for (const topic of gossipTopics) await member(0).publish(topic, utf8('same bytes'))
      await eventually('all topics', () => heard.length >= gossipTopics.length)
      assert.deepEqual(heardSorted(), gossipTopics.map(topic => `1:${topic}:same bytes`).sort())
    })

    it('carries items together, each judged by itself', async () => {
      assert.equal(member(0).isHeard('attestations'), false)
      listen(1, 'attestations')
      await network.ready(['attestations'])
      assert.equal(member(0).isHeard('attestations'), true)
      await member(0).publish('attestations', utf8('one'), utf8('two'), utf8('three'))
      await eventually('all three', () => heard.length >= 3)
      assert.deepEqual(heard, ['1:attestations:one', '1:attestations:two', '1:attestations:three'])
    })

    it('publishes to nobody without complaint', async () => {
      await member(0).publish('evidence', utf8('anyone?'))
      assert.deepEqual(heard, [])
    })

    it('carries 256 KiB and refuses one byte more', async () => {
      listen(1, 'messages')
      await network.ready(['messages'])
      await assert.rejects(member(0).publish('messages', new Uint8Array(256 * 1024 + 1).fill(65)), {
        code: 'TOO_LARGE',
      })
      await member(0).publish('messages', new Uint8Array(256 * 1024).fill(66))
      await eventually('the one that fits', () => heard.length >= 1)
      assert.deepEqual(heard, [`1:messages:${'B'.repeat(20)}`])
    })

    it('goes on after a judge that throws', async () => {
      listen(1, 'attestations', () => {
        throw new AoError('UNKNOWN_PROCESS', 'never heard of it')
      })
      await network.ready(['attestations'])
      await member(0).publish('attestations', utf8('one'))
      await member(0).publish('attestations', utf8('two'))
      await eventually('both', () => heard.length >= 2)
      assert.deepEqual(heardSorted(), ['1:attestations:one', '1:attestations:two'])
    })

    it('lets one judge a topic at a time, and stop', async () => {
      const stop = listen(1, 'assignments')
      assert.throws(() => listen(1, 'assignments'), TypeError)
      stop()
      stop()
      listen(2, 'assignments')
      await network.ready(['assignments'])
      await member(0).publish('assignments', utf8('first'))
      await eventually('2 hears', () => heard.length >= 1)
      assert.deepEqual(heard, ['2:assignments:first'])
      listen(1, 'assignments')
      stop()
      await network.ready(['assignments'])
      await member(0).publish('assignments', utf8('second'))
      // Whether it still hears what was said shortly before it came is left open.
      const second = ['1:assignments:second', '2:assignments:second']
      await eventually('both hear', () => second.every(line => heard.includes(line)))
    })
  })
}

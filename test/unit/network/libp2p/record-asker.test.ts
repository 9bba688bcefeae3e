import assert from 'node:assert/strict'
import { AoError } from '../../../../src/lib/errors.ts'
import { silentTelemetry } from '../../../../src/lib/telemetry.ts'
import { RecordAsker } from '../../../../src/network/libp2p/record-asker.ts'
import { eventually } from '../../../support/eventually.ts'

describe('network/libp2p/record-asker', () => {
  let asked: string[]
  let connected: Set<string>
  let asker: RecordAsker
  /** What each next ask gives: a number of records, or an error. */
  const answers = new Map<string, (number | AoError)[]>()
  const times = (peer: string): number => asked.filter(one => one === peer).length

  beforeEach(() => {
    asked = []
    answers.clear()
    connected = new Set(['a', 'b'])
    asker = new RecordAsker(
      {
        log: silentTelemetry.log,
        isConnected: peer => connected.has(peer),
        ask: async peer => {
          asked.push(peer)
          const next = answers.get(peer)?.shift() ?? 1
          if (next instanceof AoError) throw next
          return next
        },
      },
      { pausesMs: [1, 1, 1, 1], againMs: 1 },
    )
  })
  afterEach(() => asker.stop())

  it('asks a peer twice, and not more often however often it is told of it', async () => {
    for (let i = 0; i < 3; i++) asker.joined('a')
    await eventually('twice', () => times('a') === 2)
    asker.joined('b')
    await eventually('the other too', () => times('b') === 2)
    assert.equal(times('a'), 2)
  })

  it('comes back to who was busy or did not answer, until it is told something', async () => {
    answers.set('a', [0, new AoError('PEER_UNREACHABLE', 'gone'), new AoError('DEADLINE', 'late'), 5])
    asker.joined('a')
    await eventually('five asks', () => times('a') === 5)
  })

  it('does not ask a liar again, nor who has left', async () => {
    answers.set('a', [new AoError('INVALID_RECORD', 'forged')])
    answers.set('b', [0, 0, 0, 0, 0])
    asker.joined('a')
    asker.joined('b')
    await eventually('a was asked', () => times('a') === 1)
    await eventually('b was given up', () => times('b') === 5)
    connected.delete('b')
    asker.joined('b')
    asker.joined('a')
    await eventually('a is asked when it comes back', () => times('a') === 3)
    assert.equal(times('b'), 5)
  })

  it('asks at most eight at once, and all in the end', async () => {
    const peers = Array.from({ length: 30 }, (_, i) => `peer-${i}`)
    connected = new Set(peers)
    let now = 0
    let most = 0
    const slow = new RecordAsker(
      {
        log: silentTelemetry.log,
        isConnected: () => true,
        ask: async peer => {
          most = Math.max(most, ++now)
          await new Promise(resolve => setImmediate(resolve))
          now--
          asked.push(peer)
          return 1
        },
      },
      { pausesMs: [1], againMs: 1 },
    )
    for (const peer of peers) slow.joined(peer)
    await eventually('all asked twice', () => asked.length === 60)
    assert.equal(most, 8)
    await slow.stop()
  })
})

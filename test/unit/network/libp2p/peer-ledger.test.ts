import assert from 'node:assert/strict'
import { type Labels, silentMetrics } from '../../../../src/lib/telemetry.ts'
import { PeerLedger, strangersLedger } from '../../../../src/network/libp2p/peer-ledger.ts'
import { scoreThresholds } from '../../../../src/network/libp2p/scoring.ts'
import { StillClock } from './records.ts'

describe('network/libp2p/peer-ledger', () => {
  const blame = (ledger: PeerLedger, peer: string, times: number): void => {
    for (let i = 0; i < times; i++) ledger.blame(peer, 'record-invalid')
  }

  it('bans after ten lies, says why, and lets the peer back after two minutes', () => {
    const clock = new StillClock()
    const ledger = new PeerLedger(clock, () => 20)
    const bans: string[] = []
    ledger.onBan((peer, reason) => bans.push(`${peer} ${reason}`))
    blame(ledger, 'a', 9)
    assert.equal(ledger.isBanned('a'), false)
    blame(ledger, 'a', 1)
    assert.equal(ledger.isBanned('a'), true)
    assert.deepEqual(bans, ['a record-invalid'])
    const [conduct] = ledger.list()
    assert.deepEqual(conduct?.offences, { 'record-invalid': 10 })
    assert.equal(conduct?.bannedUntil, clock.now() + 120_000)
    clock.pass(120_000)
    assert.equal(ledger.isBanned('a'), false)
    blame(ledger, 'a', 1)
    assert.equal(ledger.isBanned('a'), false, 'what is past is forgiven by halves')
  })

  it('forgives half in thirty seconds, so that slips now and then lead to nothing', () => {
    const clock = new StillClock()
    const ledger = new PeerLedger(clock, () => 20)
    for (let i = 0; i < 1000; i++) {
      blame(ledger, 'a', 1)
      clock.pass(6_000)
    }
    assert.equal(ledger.isBanned('a'), false)
  })

  it('takes at the most 15 points off the gossip score, which cuts nobody off by itself', () => {
    const ledger = new PeerLedger(new StillClock(), () => 20)
    assert.equal(ledger.scoreOf('a'), 0)
    blame(ledger, 'a', 1)
    assert.equal(ledger.scoreOf('a'), -10)
    blame(ledger, 'a', 500)
    assert.equal(ledger.scoreOf('a'), -15)
    assert.ok(-15 > scoreThresholds.gossipThreshold)
  })

  it('blames no more than half of the neighbours in a minute: a hiccup of this node bans nobody else', () => {
    const clock = new StillClock()
    const ledger = new PeerLedger(clock, () => 64)
    for (let i = 0; i < 64; i++) blame(ledger, `peer ${i}`, 20)
    assert.equal(ledger.list().filter(({ bannedUntil }) => bannedUntil > 0).length, 32)
  })

  it('counts what is done by who does it, and never bans a stranger', () => {
    const counted: string[] = []
    const counter = () => ({
      add: (n?: number, labels?: Labels) => counted.push(`${n} ${labels?.['who']} ${labels?.['reason']}`),
    })
    const strangers = strangersLedger(new StillClock(), { ...silentMetrics, counter })
    strangers.blame('1.2.3.4', 'grpc-slow', 100)
    strangers.blame('1.2.3.4', 'grpc-held')
    assert.deepEqual(counted, ['100 stranger grpc-slow', '1 stranger grpc-held'])
    const [seen] = strangers.list()
    assert.equal(seen?.points, 200)
    assert.equal(seen?.bannedUntil, 0)
    assert.ok(!strangers.isBanned('1.2.3.4'))
  })

  it('remembers 1024 peers at the most, and whom it bans longest', () => {
    const clock = new StillClock()
    const ledger = new PeerLedger(clock, () => 1_000_000)
    blame(ledger, 'banned', 10)
    for (let i = 0; i < 2000; i++) blame(ledger, `peer ${i}`, 1)
    assert.equal(ledger.list().length, 1024)
    assert.ok(ledger.isBanned('banned'))
  })
})

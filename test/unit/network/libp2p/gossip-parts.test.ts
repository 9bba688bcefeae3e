import assert from 'node:assert/strict'
import { validatePeerScoreParams, validatePeerScoreThresholds } from '@libp2p/gossipsub/score'
import { concat, utf8 } from '../../../../src/lib/bytes.ts'
import { AoError, errorCodes } from '../../../../src/lib/errors.ts'
import { BlameLimiter } from '../../../../src/network/libp2p/blame.ts'
import { decodeEnvelope, encodeEnvelope } from '../../../../src/network/libp2p/envelope.ts'
import { gossipOptions } from '../../../../src/network/libp2p/gossip-options.ts'
import { topicName } from '../../../../src/network/libp2p/names.ts'
import { scoreParams, scoreThresholds } from '../../../../src/network/libp2p/scoring.ts'
import { verdictOf } from '../../../../src/network/libp2p/verdict.ts'
import { StillClock } from './records.ts'

describe('network/libp2p/envelope', () => {
  const item = utf8('signed bytes')

  it('gives back what was put in, in memory of its own', () => {
    const wire = encodeEnvelope([item, utf8('another')])
    const out = decodeEnvelope(wire)
    wire.fill(0)
    assert.deepEqual(
      out.map(bytes => Buffer.from(bytes).toString()),
      ['signed bytes', 'another'],
    )
  })

  it('has one form for the same items, so that they do not travel under two ids', () => {
    const wire = encodeEnvelope([item])
    const variants = {
      'an unknown field': concat(wire, Uint8Array.of(0x10, 1)),
      'more items than one may hold': encodeEnvelope(Array.from({ length: 65 }, () => item)),
      'a length written longer than need be': concat(Uint8Array.of(10, 0x80 | item.length, 0), item),
      'cut short': wire.subarray(0, wire.length - 1),
      nothing: new Uint8Array(0),
      'an empty item': Uint8Array.of(10, 0),
      garbage: Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255),
    }
    for (const [what, bytes] of Object.entries(variants)) {
      assert.throws(() => decodeEnvelope(bytes), { code: 'INVALID_DATA_ITEM' }, what)
    }
  })
})

describe('network/libp2p/verdict', () => {
  it('rejects only what the message itself proves wrong', () => {
    const rejected = errorCodes.filter(code => verdictOf(new AoError(code, '')) === 'reject')
    assert.deepEqual(rejected, [
      'INVALID_ARGUMENT',
      'INVALID_DATA_ITEM',
      'INVALID_ASSIGNMENT',
      'INVALID_RECORD',
      'TOO_LARGE',
      'UNAUTHENTICATED',
    ])
    assert.equal(verdictOf(new AoError('EQUIVOCATION', '')), 'accept')
    assert.equal(verdictOf(new TypeError('a bug of ours')), 'ignore')
  })
})

describe('network/libp2p/scoring', () => {
  it('passes the checks of gossipsub', () => {
    for (const allowSameIp of [true, false]) validatePeerScoreParams(scoreParams('hash', { allowSameIp }))
    validatePeerScoreThresholds(scoreThresholds)
  })

  it('lets no credit outlive a second bad message', () => {
    const { topics, topicScoreCap } = scoreParams('hash', { allowSameIp: false })
    const best = Object.values(topics).reduce(
      (sum, t) =>
        sum + t.timeInMeshCap * t.timeInMeshWeight + t.firstMessageDeliveriesCap * t.firstMessageDeliveriesWeight,
      0,
    )
    const [topic] = Object.values(topics)
    const cost = (bad: number): number => bad * bad * (topic?.invalidMessageDeliveriesWeight ?? 0)
    assert.equal(best, 10)
    assert.ok(best <= topicScoreCap)
    assert.ok(best + cost(2) < scoreThresholds.gossipThreshold)
    assert.ok(best + cost(3) < scoreThresholds.graylistThreshold)
    assert.ok(cost(1) > scoreThresholds.gossipThreshold, 'one bad message is forgiven')
  })

  it('punishes shared addresses only where nodes should not share one', () => {
    assert.equal(scoreParams('hash', { allowSameIp: true }).IPColocationFactorWeight, 0)
    assert.ok(scoreParams('hash', { allowSameIp: false }).IPColocationFactorWeight < 0)
  })
})

describe('network/libp2p/gossip-options', () => {
  it('leaves no limit of gossipsub unbounded or unset', () => {
    const options = gossipOptions('hash', { allowSameIp: true })
    const limits = [
      options.maxInboundDataLength,
      options.maxOutboundBufferSize,
      options.maxTopicBytesPerPeer,
      options.maxInboundStreams,
      options.maxOutboundStreams,
      ...Object.values(options.decodeRpcLimits ?? {}),
    ]
    assert.equal(limits.length, 12)
    assert.ok(limits.every(limit => Number.isSafeInteger(limit)))
    assert.equal(options.globalSignaturePolicy, 'StrictSign')
  })

  it('tells messages apart by topic and data, whoever sent them', async () => {
    const { msgIdFn, fastMsgIdFn } = gossipOptions('hash', { allowSameIp: true })
    const id = async (topic: string, data: string): Promise<string> =>
      Buffer.from((await msgIdFn?.({ type: 'unsigned', topic, data: utf8(data) })) ?? []).toString('hex')
    assert.equal(await id('a', 'x'), await id('a', 'x'))
    assert.notEqual(await id('a', 'x'), await id('b', 'x'), 'bytes seen in a wrong topic are unknown in the right one')
    assert.notEqual(await id('a', 'x'), await id('a', 'y'))
    assert.equal(
      fastMsgIdFn?.({ topic: 'a', data: utf8('x') }),
      await id('a', 'x'),
      'known before its signature is checked',
    )
  })

  it('keeps networks apart by name', () => {
    assert.equal(topicName('0123456789abcdefXYZ', 'assignments'), '/aonet/0123456789abcdef/assignments/1')
  })
})

describe('network/libp2p/blame', () => {
  it('counts a bounded number of rejections of one neighbour in a minute', () => {
    const clock = new StillClock()
    const blame = new BlameLimiter(clock, () => 10)
    const counted = (): number => Array.from({ length: 100 }, () => blame.mayBlame('liar')).filter(Boolean).length
    assert.equal(counted(), 20)
    clock.pass(60_000)
    assert.equal(counted(), 20)
  })

  it('stops when most neighbours seem to lie, for then it is this node that errs', () => {
    const blame = new BlameLimiter(new StillClock(), () => 10)
    const blamed = Array.from({ length: 10 }, (_, i) => blame.mayBlame(`peer ${i}`)).filter(Boolean).length
    assert.equal(blamed, 5)
    assert.equal(blame.mayBlame('peer 0'), true, 'who is blamed already stays so')
  })

  it('still works among few', () => {
    const blame = new BlameLimiter(new StillClock(), () => 1)
    assert.equal(blame.mayBlame('the only one'), true)
  })
})

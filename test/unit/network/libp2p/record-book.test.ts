import assert from 'node:assert/strict'
import { AoError } from '../../../../src/lib/errors.ts'
import { peerIdOf, signAsPeer } from '../../../../src/network/libp2p/peer-key.ts'
import { RecordBook } from '../../../../src/network/libp2p/record-book.ts'
import type { Address } from '../../../../src/protocol/ids.ts'
import { generateKey, signerFromJwk } from '../../../../src/protocol/keys.ts'
import { peerBinding } from '../../../../src/protocol/unit-record.ts'
import { testJwk, testSigner } from '../../../support/builders.ts'
import { aRecord, mutated, network, type RecordOptions, StillClock } from './records.ts'

describe('network/libp2p/record-book', () => {
  let clock: StillClock
  let book: RecordBook
  const addresses = new Map<string, Address>()
  const addressOf = (seed: string): Address => {
    const address = addresses.get(seed) ?? testSigner(seed).address
    addresses.set(seed, address)
    return address
  }
  const judge = async (seed: string, options: RecordOptions = {}): Promise<string> =>
    (await book.judge((await aRecord(seed, clock, options)).raw)).outcome
  const names = (): readonly string[] => {
    const seeds = ['a', 'b', 'c', 'd']
    return book.find('CU').map(({ address }) => seeds.find(seed => addressOf(seed) === address) ?? '?')
  }

  beforeEach(() => {
    clock = new StillClock()
    book = new RecordBook(clock, { network, seed: 'me' })
  })

  describe('what it believes', () => {
    it('takes a valid record, and then only later ones of the same unit', async () => {
      const first = await aRecord('a', clock)
      assert.equal((await book.judge(first.raw)).outcome, 'new')
      assert.equal((await book.judge(first.raw)).outcome, 'same')
      clock.pass(1000)
      assert.equal(await judge('a', { grpc: '10.0.0.1:1' }), 'renewed')
      assert.equal(book.get(addressOf('a'))?.grpc, '10.0.0.1:1')
      assert.equal((await book.judge(first.raw)).outcome, 'old')
      assert.equal(await judge('a', { grpc: '10.0.0.2:1' }), 'old', 'another record of the same moment')
      assert.equal(book.get(addressOf('a'))?.grpc, '10.0.0.1:1')
    })

    it('shows a record until it expires and not a millisecond longer', async () => {
      await judge('a')
      clock.pass(89_999)
      assert.equal(book.find('CU').length, 1)
      clock.pass(1)
      assert.equal(book.find('CU').length, 0)
      assert.equal(book.get(addressOf('a')), undefined)
      assert.deepEqual(book.all(), [])
    })

    it('blames nobody for clocks that differ', async () => {
      assert.equal(await judge('a', { issuedAt: clock.now() - 90_000 }), 'expired')
      assert.equal(await judge('a', { issuedAt: clock.now() + 60_001 }), 'early')
      assert.equal(book.all().length, 0)
      assert.equal(await judge('a', { issuedAt: clock.now() + 60_000 }), 'new')
    })

    it('refuses a record of another network by name', async () => {
      await assert.rejects(judge('a', { network: 'M'.repeat(43) }), { code: 'WRONG_NETWORK' })
      assert.equal(book.all().length, 0)
    })

    const invalid: Readonly<Record<string, RecordOptions>> = {
      'a PeerId of another key': { peer: '12D3KooWCsbCj7S8MKqZXfcrG3FdJ7PPPgGeU5MEWjJ1Tbr7zKN2' },
      'an address of another peer': {
        multiaddrs: ['/ip4/1.2.3.4/tcp/1/p2p/12D3KooWCsbCj7S8MKqZXfcrG3FdJ7PPPgGeU5MEWjJ1Tbr7zKN2'],
      },
      'a life above 10 minutes': { issuedAt: 1_700_000_000_000, expiresAt: 1_700_000_600_001 },
      'a life that ends before it begins': { issuedAt: 1_700_000_000_000, expiresAt: 1_700_000_000_000 },
      'a certificate above 2 KiB': { certificate: new Uint8Array(2049) },
      'a gRPC address that is none': { grpc: 'http://host/path' },
      'a role named twice': { roles: ['CU', 'CU'] },
      'seventeen formats': { formats: Array.from({ length: 17 }, (_, i) => `format-${i}`) },
    }
    for (const [what, options] of Object.entries(invalid)) {
      it(`refuses ${what}`, async () => {
        await assert.rejects(judge('a', options), { code: 'INVALID_RECORD' })
        assert.equal(book.all().length, 0)
      })
    }

    it('refuses a record above 8 KiB before it looks at the signature', async () => {
      const formats = Array.from({ length: 3 }, (_, i) => `${i}${'f'.repeat(3000)}`)
      await assert.rejects(judge('a', { formats }), { code: /TOO_LARGE|INVALID_DATA_ITEM/ })
      await assert.rejects(book.judge(new Uint8Array(8193).fill(2)), { code: 'TOO_LARGE' })
    })

    it('refuses a record with any one byte changed', async () => {
      const { raw } = await aRecord('a', clock)
      for (let at = 0; at < raw.length; at += 7) {
        await assert.rejects(book.judge(mutated(raw, at)), AoError, `byte ${at} may be changed`)
      }
      assert.equal(book.all().length, 0)
    })

    it('takes a record signed by an RSA key only if the peer it names has signed for that unit', async function () {
      this.timeout(60_000) // finding two primes of 2048 bits takes what it takes
      const jwk = generateKey('rsa')
      const binding = (net = network): string => peerBinding(net, signerFromJwk(jwk).address)
      const signed = (key: string, text: string): RecordOptions => ({
        jwk,
        peerSignature: signAsPeer(testJwk(key), text),
      })
      await assert.rejects(judge('peer-of-rsa', { jwk }), { code: 'INVALID_RECORD', message: /has not signed/ })
      await assert.rejects(judge('peer-of-rsa', signed('another', binding())), { code: 'INVALID_RECORD' })
      await assert.rejects(judge('peer-of-rsa', signed('peer-of-rsa', binding('M'))), { code: 'INVALID_RECORD' })
      assert.equal(await judge('peer-of-rsa', signed('peer-of-rsa', binding())), 'new')
    })

    it('does not verify keys that no unit has', async () => {
      const ethereum = new Uint8Array(600)
      ethereum[0] = 3
      await assert.rejects(book.judge(ethereum), { code: 'INVALID_RECORD', message: /RSA or Ed25519/ })
    })

    it('makes room in a full book only for whom somebody waits, and not from what is in use', async () => {
      book = new RecordBook(clock, { network, seed: 'me', maxRecords: 2 })
      await judge('a')
      await judge('b')
      book.report(addressOf('b'), 'ok')
      await assert.rejects(judge('c'), { code: 'OVERLOADED' })
      const found = book.waitFor(addressOf('c'), { signal: AbortSignal.timeout(1000) })
      assert.equal(await judge('c'), 'new')
      assert.equal((await found).address, addressOf('c'))
      assert.deepEqual([...names()].sort(), ['b', 'c'])
      await assert.rejects(judge('d'), { code: 'OVERLOADED' })
    })

    it('makes room for newcomers from what has expired, never from what lives', async () => {
      book = new RecordBook(clock, { network, seed: 'me', maxRecords: 2 })
      await judge('a')
      clock.pass(1000)
      await judge('b')
      await assert.rejects(judge('c'), { code: 'OVERLOADED' })
      assert.equal(await judge('b', { issuedAt: clock.now() + 1 }), 'renewed', 'a known unit always has its place')
      clock.pass(89_000)
      assert.equal(await judge('c'), 'new')
      assert.deepEqual([...names()].sort(), ['b', 'c'])
    })
  })

  describe('ranking', () => {
    const order = async (): Promise<readonly string[]> => {
      for (const seed of ['a', 'b', 'c']) await judge(seed)
      return names()
    }

    it('lists a role only', async () => {
      await judge('a', { roles: ['MU', 'SU'] })
      await judge('b', { roles: ['CU', 'SU'] })
      assert.equal(book.find('MU').length, 1)
      assert.equal(book.find('SU').length, 2)
      assert.equal(book.find('CU').length, 1)
    })

    it('ranks equals in one fixed order, another one on another node', async () => {
      const seeds = ['a', 'b', 'c', 'd']
      const orders = new Set<string>()
      for (let node = 0; node < 20; node++) {
        book = new RecordBook(clock, { network, seed: `node ${node}` })
        for (const seed of node % 2 === 0 ? seeds : seeds.toReversed()) await judge(seed)
        assert.deepEqual(names(), names())
        orders.add(names().join(''))
      }
      assert.ok(orders.size > 5, `20 nodes share ${orders.size} orders`)
    })

    it('sinks a unit that failed for 5 s, then 10 s, up to a minute, and keeps it listed', async () => {
      await judge('b')
      for (let i = 0; i < 10; i++) book.report(addressOf('b'), 'failed')
      clock.pass(60_000)
      await judge('a')
      await judge('b')
      // `b` failed ten times a minute ago: below `a` unless `a` cools down.
      for (const coolDownMs of [5_000, 10_000, 20_000, 40_000, 60_000, 60_000]) {
        book.report(addressOf('a'), 'failed')
        assert.deepEqual(names(), ['b', 'a'])
        clock.pass(coolDownMs - 1)
        assert.deepEqual(names(), ['b', 'a'], `before ${coolDownMs} ms`)
        clock.pass(1)
        assert.deepEqual(names(), ['a', 'b'], `after ${coolDownMs} ms`)
        for (const seed of ['a', 'b']) await judge(seed)
      }
      book.report(addressOf('a'), 'failed')
      book.report(addressOf('a'), 'ok')
      assert.deepEqual(names(), ['a', 'b'], 'one success ends it')
    })

    it('puts a unit that cools down below one with more failures that does not', async () => {
      const [first = '', second = '', third = ''] = await order()
      for (let i = 0; i < 3; i++) book.report(addressOf(first), 'failed')
      clock.pass(20_000)
      book.report(addressOf(second), 'failed')
      assert.deepEqual(names(), [third, first, second])
    })

    it('ranks near and idle units first, after those that fail less', async () => {
      const latency = new Map<string, number>()
      book = new RecordBook(clock, { network, seed: 'me', latencyOf: peer => latency.get(peer) })
      for (const seed of ['a', 'b', 'c']) await judge(seed, { load: seed === 'b' ? 90 : 0 })
      latency.set(peerIdOf(testJwk('a')), 400)
      latency.set(peerIdOf(testJwk('b')), 1)
      latency.set(peerIdOf(testJwk('c')), 1)
      assert.deepEqual(names(), ['c', 'b', 'a'])
      book.report(addressOf('c'), 'failed')
      clock.pass(5_000)
      assert.deepEqual(names(), ['b', 'a', 'c'])
    })

    it('says how many calls to a unit failed and why the last did, until one works or it is long ago', async () => {
      await judge('a')
      const a = addressOf('a')
      const facts = { reason: 'the node shows another certificate than its record' }
      book.report(a, 'failed', new Error('not for others to read'))
      book.report(a, 'failed', new AoError('PEER_UNREACHABLE', 'the node cannot be reached', facts))
      await judge('a')
      const lastFailure =
        'PEER_UNREACHABLE: the node cannot be reached (the node shows another certificate than its record)'
      assert.deepEqual(book.callsOf(a), { failedCalls: 2, lastFailure })
      book.report(a, 'ok')
      assert.deepEqual(book.callsOf(a), { failedCalls: 0, lastFailure: null })
      book.report(a, 'failed')
      clock.pass(5 * 60_000)
      assert.deepEqual(book.callsOf(a), { failedCalls: 0, lastFailure: null })
    })

    it('forgets failures after five minutes', async () => {
      const [first = '', second = ''] = await order()
      book.report(addressOf(first), 'failed')
      clock.pass(5 * 60_000)
      await judge(first)
      await judge(second)
      assert.deepEqual(names(), [first, second])
    })

    it('sinks a unit whose connection broke until it is heard of again', async () => {
      const [first = '', ...others] = await order()
      const peer = book.get(addressOf(first))?.peer ?? ''
      const before = [first, ...others]
      book.lost(peer)
      assert.deepEqual(names(), [...others, first])
      clock.pass(80_000)
      assert.deepEqual(names(), [...others, first], 'no time heals it')
      book.joined(peer)
      assert.deepEqual(names(), before, 'a connection does')
      clock.pass(1)
      book.lost(peer)
      await judge(first)
      assert.deepEqual(names(), [...others, first], 'a record of before the loss does not')
      clock.pass(1)
      await judge(first)
      assert.deepEqual(names(), before, 'a record of after it does')
      book.lost(peer)
      book.report(addressOf(first), 'ok')
      assert.deepEqual(names(), before, 'so does a call that works')
    })
  })

  describe('waiting', () => {
    it('gives a known unit at once and an unknown one when it appears', async () => {
      await judge('a')
      assert.equal((await book.waitFor(addressOf('a'))).address, addressOf('a'))
      const waiting = book.waitFor(addressOf('b'))
      await judge('c')
      await judge('b')
      assert.equal((await waiting).address, addressOf('b'))
    })

    it('ends by the signal, and waits on for others', async () => {
      const stop = new AbortController()
      const aborted = assert.rejects(book.waitFor(addressOf('a'), { signal: stop.signal }), { code: 'ABORTED' })
      const waiting = book.waitFor(addressOf('a'))
      stop.abort()
      await aborted
      await judge('a')
      assert.equal((await waiting).address, addressOf('a'))
    })

    it('refuses more than 1024 who wait', async () => {
      const stops = Array.from({ length: 1024 }, () => new AbortController())
      const all = stops.map(({ signal }) => book.waitFor(addressOf('a'), { signal }).catch(() => undefined))
      await assert.rejects(book.waitFor(addressOf('a')), { code: 'OVERLOADED' })
      for (const stop of stops) stop.abort()
      await Promise.all(all)
      await judge('a')
      assert.equal((await book.waitFor(addressOf('a'))).address, addressOf('a'))
    })
  })
})

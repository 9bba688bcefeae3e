import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { multiaddr } from '@multiformats/multiaddr'
import { silentLogger } from '../../../../src/lib/telemetry.ts'
import { BootstrapDialer } from '../../../../src/network/libp2p/bootstrap.ts'
import { Connector } from '../../../../src/network/libp2p/connector.ts'
import { peerIdOf } from '../../../../src/network/libp2p/peer-key.ts'
import { Refusals } from '../../../../src/network/libp2p/refusals.ts'
import { parseUnitRecord, type UnitRecord } from '../../../../src/protocol/unit-record.ts'
import { testJwk } from '../../../support/builders.ts'
import { aRecord, StillClock } from './records.ts'

describe('network/libp2p/bootstrap', () => {
  const peer = peerIdOf(testJwk('bootstrap'))
  const withPeer = multiaddr(`/ip4/127.0.0.1/tcp/1/p2p/${peer}`)
  let clock: StillClock
  let connected: boolean
  let reachable: boolean
  let dialedAt: number[]
  const dialer = (address = withPeer): BootstrapDialer =>
    new BootstrapDialer(
      {
        log: silentLogger,
        clock,
        isConnected: who => who === peer && connected,
        dial: async () => {
          dialedAt.push(clock.now())
          if (!reachable) throw new Error('refused')
          connected = true
          return peer
        },
      },
      [address],
    )
  const run = async (bootstrap: BootstrapDialer, ms: number): Promise<readonly number[]> => {
    const start = clock.now()
    dialedAt = []
    for (let at = 0; at < ms; at += 250) {
      bootstrap.tick()
      await bootstrap.settled()
      clock.pass(250)
    }
    return dialedAt.map(at => at - start)
  }

  beforeEach(() => {
    clock = new StillClock()
    connected = false
    reachable = false
  })

  it('tries at once, then in doubling pauses up to half a minute, and never gives up', async () => {
    const at = await run(dialer(), 200_000)
    assert.deepEqual(at.slice(0, 7), [0, 500, 1500, 3500, 7500, 15500, 31500])
    assert.deepEqual(at.slice(7), [61500, 91500, 121500, 151500, 181500])
  })

  it('leaves a connected peer alone and comes back at once when it is lost', async () => {
    reachable = true
    const bootstrap = dialer()
    assert.deepEqual(await run(bootstrap, 10_000), [0])
    bootstrap.joined(peer)
    connected = false
    assert.deepEqual(await run(bootstrap, 10_000), [0])
  })

  it('does not dial in a loop a peer that answers and hangs up', async () => {
    reachable = true
    const bootstrap = dialer()
    let dials = 0
    for (let i = 0; i < 400; i++) {
      connected = false
      dials += (await run(bootstrap, 250)).length
    }
    assert.ok(dials < 12, `${dials} dials in 100 s`)
  })

  it('learns from the answer who an address without a PeerId is', async () => {
    reachable = true
    assert.deepEqual(await run(dialer(multiaddr('/ip4/127.0.0.1/tcp/1')), 60_000), [0])
  })
})

describe('network/libp2p/connector', () => {
  const clock = new StillClock()
  const self = peerIdOf(testJwk('self'))
  let records: UnitRecord[]
  let connected: Set<string>
  let dialed: string[]
  let reachable: boolean
  const connector = (target = 100): Connector =>
    new Connector(
      {
        log: silentLogger,
        clock,
        self,
        connected: () => connected,
        records: () => records,
        dial: async peer => {
          dialed.push(peer)
          if (!reachable) throw new Error('refused')
          connected.add(peer)
        },
      },
      target,
    )
  const run = async (some: Connector, ms: number): Promise<void> => {
    for (let at = 0; at < ms; at += 1000) {
      some.tick()
      await some.settled()
      await turn()
      clock.pass(1000)
    }
  }

  before(async () => {
    const seeds = Array.from({ length: 10 }, (_, i) => `peer ${i}`)
    const items = await Promise.all([...seeds, 'self'].map(seed => aRecord(seed, clock)))
    records = items.map(parseUnitRecord)
  })

  beforeEach(() => {
    connected = new Set()
    dialed = []
    reachable = true
  })

  it('connects to every known peer but itself, the smaller of two first', async () => {
    const some = connector()
    some.tick()
    assert.ok(dialed.every(peer => self < peer))
    await run(some, 10_000)
    assert.equal(connected.size, 10)
    assert.equal(dialed.length, 10)
    assert.ok(!dialed.includes(self))
  })

  it('stops at its target', async () => {
    await run(connector(3), 20_000)
    assert.equal(connected.size, 3)
  })

  it('dials at most four at once', () => {
    clock.pass(10_000)
    const some = connector()
    some.tick()
    clock.pass(10_000)
    some.tick()
    assert.equal(dialed.length, 4)
  })

  it('tries an unreachable peer ever more rarely', async () => {
    reachable = false
    await run(connector(), 120_000)
    const perPeer = dialed.length / 10
    assert.ok(perPeer >= 4 && perPeer <= 7, `${perPeer} tries each in two minutes`)
  })
})

describe('network/libp2p/refusals', () => {
  it('remembers a peer of another network for a minute, and not more than 1024 of them', () => {
    const clock = new StillClock()
    const refusals = new Refusals(clock)
    refusals.add('first')
    assert.deepEqual(refusals.list(), ['first'])
    clock.pass(60_000)
    assert.equal(refusals.has('first'), false)
    for (let i = 0; i < 2000; i++) refusals.add(`peer ${i}`)
    assert.equal(refusals.list().length, 1024)
    assert.equal(refusals.has('peer 1999'), true)
    assert.equal(refusals.has('peer 0'), false)
  })
})

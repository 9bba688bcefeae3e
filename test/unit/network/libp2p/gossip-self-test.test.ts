import assert from 'node:assert/strict'
import { silentTelemetry } from '../../../../src/lib/telemetry.ts'
import { GossipSelfTest } from '../../../../src/network/libp2p/gossip-self-test.ts'
import type { PeerListener } from '../../../../src/network/libp2p/host.ts'
import { parseUnitRecord, type UnitRecord } from '../../../../src/protocol/unit-record.ts'
import { eventually } from '../../../support/eventually.ts'
import { aRecord, StillClock } from './records.ts'

describe('network/libp2p/gossip-self-test', () => {
  let clock: StillClock
  let own: UnitRecord
  let held: readonly Uint8Array[]
  let asked: number
  let listener: PeerListener
  let test: GossipSelfTest
  const publish = async (): Promise<void> => {
    own = parseUnitRecord(await aRecord('me', clock))
  }
  const answered = (times: number): Promise<unknown> => eventually('it has asked', () => asked === times)

  beforeEach(async () => {
    clock = new StillClock()
    asked = 0
    held = []
    await publish()
    test = new GossipSelfTest({
      ...{ ...silentTelemetry, clock, own: () => own },
      host: {
        peers: new Set(),
        onPeer: given => {
          listener = given
          return () => undefined
        },
      },
      ask: async () => {
        asked++
        return held
      },
    })
    test.start()
    listener.joined?.('neighbour')
  })

  it('says nothing before a record can have come by gossip alone', () => {
    clock.pass(60_000)
    test.tick()
    assert.equal(asked, 0, 'what was published when the two met may have come by their exchange')
    assert.equal(test.health, 'untested')
  })

  it('is content when a neighbour holds what was published, and looks again ten minutes later', async () => {
    clock.pass(4_000)
    await publish()
    held = [own.raw]
    clock.pass(4_999)
    test.tick()
    assert.equal(asked, 0, 'gossip may take its time')
    clock.pass(1)
    test.tick()
    await eventually('it is known', () => test.health === 'ok')
    clock.pass(9 * 60_000)
    test.tick()
    assert.equal(asked, 1)
  })

  it('finds out that nothing arrives, though the neighbour holds an earlier record, and that it is mended', async () => {
    held = [own.raw]
    clock.pass(4_000)
    await publish()
    clock.pass(5_000)
    test.tick()
    await eventually('it is known', () => test.health === 'failing')
    held = [own.raw]
    clock.pass(30_000)
    test.tick()
    await answered(2)
    await eventually('it is known', () => test.health === 'ok')
  })
})

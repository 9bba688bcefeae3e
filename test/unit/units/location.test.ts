import assert from 'node:assert/strict'
import { MemoryArweave } from '../../../src/arweave/memory-arweave.ts'
import { AoError } from '../../../src/lib/errors.ts'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import type { DataItem } from '../../../src/protocol/data-item.ts'
import { tagValue } from '../../../src/protocol/tags.ts'
import { LocationPublisher } from '../../../src/units/scheduler/location.ts'
import { testSigner } from '../../support/builders.ts'
import { eventually, TestClock } from '../../support/eventually.ts'

describe('units/scheduler/location', () => {
  let uploaded: DataItem[]
  let failures: number
  let publisher: LocationPublisher | undefined
  const clock = new TestClock()
  const start = (url: () => string, timeToLiveMs = 60_000): Promise<void> => {
    uploaded = []
    const arweave = new MemoryArweave()
    arweave.upload = async item => {
      if (failures-- > 0) throw new AoError('PEER_UNREACHABLE', 'the gateway is down')
      uploaded.push(item)
      clock.advance(1)
    }
    const deps = { signer: testSigner('su'), arweave, clock, telemetry: silentTelemetry, url, network: 'here' }
    publisher = new LocationPublisher(deps, { timeToLiveMs, retryMs: 2 })
    return publisher.start()
  }
  beforeEach(() => {
    failures = 0
  })
  afterEach(() => publisher?.stop())

  it('publishes under the name of the scheduler where it is and for how long, also after failures', async () => {
    failures = 3
    await start(() => 'http://here/su')
    const item = await eventually('a publication', () => uploaded[0])
    assert.equal(item.owner, testSigner('su').address)
    const { tags } = item
    assert.equal(tagValue(tags, 'Data-Protocol'), 'ao')
    assert.equal(tagValue(tags, 'Type'), 'Scheduler-Location')
    assert.equal(tagValue(tags, 'Url'), 'http://here/su')
    assert.equal(tagValue(tags, 'Time-To-Live'), '60000')
    assert.equal(tagValue(tags, 'Network'), 'here')
    assert.ok(item.data.length > 0)
  })

  it('publishes again before readers forget it, as a new item and with the URL of then', async () => {
    let moves = 0
    await start(() => `http://place-${moves++ % 2}/su`, 10)
    await eventually('three publications', () => uploaded.length >= 3)
    assert.equal(new Set(uploaded.map(({ id }) => id)).size, uploaded.length)
    assert.equal(tagValue(uploaded[1]?.tags ?? [], 'Url'), 'http://place-1/su')
  })
})

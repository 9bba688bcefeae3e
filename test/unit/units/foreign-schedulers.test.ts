import assert from 'node:assert/strict'
import { AoError, hasCode } from '../../../src/lib/errors.ts'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import { absentScheduler } from '../../../src/network/grpc/absent-units.ts'
import type { ForeignPlace } from '../../../src/ports/foreign.ts'
import type { DataItem } from '../../../src/protocol/data-item.ts'
import { tagsOf } from '../../../src/protocol/tags.ts'
import { ForeignSchedulers } from '../../../src/units/routing/foreign-schedulers.ts'
import { testSigner } from '../../support/builders.ts'
import { TestClock } from '../../support/eventually.ts'

describe('units/routing/foreign-schedulers', () => {
  const su = testSigner('su')
  let newest: DataItem | undefined
  let lookups: number
  let places: ForeignPlace[]
  let clock: TestClock
  let found: ForeignSchedulers

  const publish = async (tags: Record<string, string>, signer = su): Promise<void> => {
    const named = Object.entries(tags).map(([name, value]) => ({ name, value }))
    const location = tagsOf(['Data-Protocol', 'ao'], ['Type', 'Scheduler-Location'])
    newest = await signer.sign({ data: Buffer.from(' '), tags: [...location, ...named] })
  }
  beforeEach(() => {
    newest = undefined
    lookups = 0
    places = []
    clock = new TestClock()
    const arweave = {
      signedBy: async () => {
        lookups++
        return newest === undefined ? [] : [newest]
      },
      item: async () => newest,
      transaction: async () => undefined,
    }
    const scheduler = (place: ForeignPlace) => {
      if (place.url.startsWith('file')) throw new AoError('NOT_ALLOWED', 'not there')
      places.push(place)
      return { ...absentScheduler, url: place.url, take: async () => undefined }
    }
    found = new ForeignSchedulers({ arweave, units: { scheduler }, network: 'ours', clock, telemetry: silentTelemetry })
  })
  const find = async (): Promise<string | undefined> => (await found.find(su.address))?.url

  it('keeps a location as long as it says, in whatever capitals', async () => {
    await publish({ url: 'http://one', 'time-to-live': '60000' })
    assert.equal(await find(), 'http://one')
    await publish({ Url: 'http://two', 'Time-To-Live': '60000' })
    clock.advance(59_999)
    assert.equal(await find(), 'http://one')
    assert.equal(found.known(su.address)?.url, 'http://one')
    clock.advance(1)
    assert.equal(found.known(su.address), undefined)
    assert.equal(await find(), 'http://two')
    assert.equal(lookups, 2)
  })

  it('keeps for a moment that there is none, and within bounds what says so itself', async () => {
    assert.equal(await find(), undefined)
    await publish({ Url: 'http://one', 'Time-To-Live': '0' })
    assert.equal(await find(), undefined)
    assert.equal(lookups, 1)
    clock.advance(10_000)
    assert.equal(await find(), 'http://one')
    assert.equal(await find(), 'http://one')
    assert.equal(lookups, 2)
    clock.advance(5_000)
    await publish({ Url: 'http://two', 'Time-To-Live': '999999999999999' })
    assert.equal(await find(), 'http://two')
    clock.advance(24 * 60 * 60_000)
    await publish({ Url: 'http://three' })
    assert.equal(await find(), 'http://three')
  })

  it('looks again soon where nobody answers', async () => {
    await publish({ Url: 'http://one', 'Time-To-Live': '600000' })
    await find()
    await publish({ Url: 'http://two', 'Time-To-Live': '600000' })
    places[0]?.onUnreachable?.()
    assert.equal(await find(), 'http://one')
    clock.advance(10_000)
    assert.equal(await find(), 'http://two')
  })

  it('believes only what the scheduler signed, and leaves peers of this network to the network', async () => {
    await publish({ Url: 'http://one', 'Time-To-Live': '1' }, testSigner('somebody else'))
    assert.equal(await find(), undefined)
    clock.advance(10_000)
    await publish({ Url: 'http://one', 'Time-To-Live': '1', Network: 'ours' })
    assert.equal(await find(), undefined)
    clock.advance(10_000)
    await publish({ Url: 'http://one', 'Time-To-Live': '1', Network: 'theirs' })
    assert.equal(await find(), 'http://one')
  })

  it('says that it does not go somewhere, and keeps that too', async () => {
    await publish({ Url: 'file:///etc/passwd', 'Time-To-Live': '1' })
    for (let i = 0; i < 2; i++) await assert.rejects(find(), error => hasCode(error, 'NOT_ALLOWED'))
    assert.equal(lookups, 1)
    assert.equal(found.known(su.address), undefined)
  })
})

import assert from 'node:assert/strict'
import { raceSignal, raceWithin, sleep, underDeadline } from '../../../src/lib/abort.ts'
import { AoError, retryAdvice } from '../../../src/lib/errors.ts'
import { SingleFlight } from '../../../src/lib/single-flight.ts'

describe('lib/abort', () => {
  it('gives up waiting with ABORTED when the caller does, and the work goes on', async () => {
    const controller = new AbortController()
    let done = false
    const work = new Promise<void>(resolve => setImmediate(resolve)).then(() => {
      done = true
    })
    const waiting = raceSignal(work, { signal: controller.signal })
    controller.abort()
    await assert.rejects(waiting, { code: 'ABORTED' })
    await work
    assert.equal(done, true)
  })

  it('tells a passed deadline from a caller that gave up', async () => {
    await assert.rejects(sleep(60_000, { signal: AbortSignal.timeout(1) }), { code: 'DEADLINE' })
  })

  it('sets a time for one wait, and for all that a piece of work waits for', async () => {
    const never = new Promise<never>(() => undefined)
    await assert.rejects(raceWithin(never, 1), { code: 'DEADLINE' })
    await assert.rejects(raceWithin(never, 60_000, { signal: AbortSignal.abort() }), { code: 'ABORTED' })
    assert.equal(await raceWithin(Promise.resolve(7), 60_000), 7)
    const waits = (signal: AbortSignal): Promise<never> => raceSignal(never, { signal })
    await assert.rejects(underDeadline(1, {}, waits), { code: 'DEADLINE' })
    const caller = new AbortController()
    const work = underDeadline(60_000, caller, waits)
    caller.abort()
    await assert.rejects(work, { code: 'ABORTED' })
    assert.equal(await underDeadline(60_000, {}, async signal => signal.aborted), false)
  })

  it('shows a bug as INTERNAL without its text', () => {
    const error = AoError.from(new TypeError('secret path /root/key'))
    assert.equal(error.code, 'INTERNAL')
    assert.doesNotMatch(error.message, /secret/)
    assert.equal(retryAdvice(error), 'elsewhere')
  })
})

describe('lib/single-flight', () => {
  it('computes once for all who ask at the same time, and again afterwards', async () => {
    const flights = new SingleFlight<string, number>()
    let computed = 0
    const compute = async (): Promise<number> => ++computed
    assert.deepEqual(await Promise.all([flights.run('a', compute), flights.run('a', compute)]), [1, 1])
    assert.equal(await flights.run('a', compute), 2)
    assert.equal(flights.size, 0)
  })
})

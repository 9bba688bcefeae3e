import assert from 'node:assert/strict'
import { availableParallelism } from 'node:os'
import { silentTelemetry } from '../../src/lib/telemetry.ts'
import { CheckThreads } from '../../src/node/check-threads.ts'
import { verifyDataItemAside } from '../../src/protocol/data-item.ts'
import { generateKey, signerFromJwk } from '../../src/protocol/keys.ts'
import { anId, anItem } from '../support/builders.ts'

describe('node/check threads', () => {
  let threads: CheckThreads

  beforeEach(async () => {
    threads = new CheckThreads(silentTelemetry, {
      threads: Math.min(2, availableParallelism()),
      maxChunk: 4,
      maxQueued: 50,
    })
    await threads.start()
  })
  afterEach(() => threads.stop())

  it('takes each good item and refuses each forged one, however they are mixed and whatever their size', async () => {
    const rsa = signerFromJwk(generateKey('rsa'))
    const items = await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        const size = i % 10 === 5 ? 300 * 1024 : i * 10 // some do not fit into the shared memory of a chunk
        const { raw } = await anItem({ data: Buffer.alloc(size + 1, i) }, i % 3 === 0 ? rsa : undefined)
        const forged = Buffer.from(raw)
        forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1
        return i % 4 === 1 ? { bytes: forged, good: false } : { bytes: raw, good: true }
      }),
    )
    const verdicts = await Promise.all(
      items.map(({ bytes }) =>
        verifyDataItemAside(bytes).then(
          () => true,
          ({ code }) => code !== 'INVALID_DATA_ITEM',
        ),
      ),
    )
    assert.deepEqual(
      verdicts,
      items.map(({ good }) => good),
    )
  })

  it('checks a small item that comes alone at once, and leaves all else to the threads', async () => {
    const { raw } = await anItem({ data: Buffer.alloc(100, 1) })
    const forged = Buffer.from(raw)
    forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1
    const { raw: large } = await anItem({ data: Buffer.alloc(20_000, 1) })
    /** What is known before this program looks at its threads again. */
    const atOnce = async (...items: readonly Uint8Array[]): Promise<readonly unknown[]> => {
      const known: unknown[] = items.map(() => 'nothing')
      const checks = items.map((bytes, i) => threads.check(bytes, anId()).then(good => (known[i] = good)))
      await new Promise<void>(resolve => process.nextTick(() => process.nextTick(resolve)))
      const found = [...known]
      await Promise.all(checks)
      return found
    }
    assert.deepEqual(await atOnce(raw), [true])
    assert.deepEqual(await atOnce(forged), [false])
    assert.deepEqual(await atOnce(large), ['nothing'])
    assert.deepEqual(await atOnce(raw, forged), ['nothing', 'nothing'])
  })

  it('refuses one item too many with OVERLOADED, and takes more when there is room', async () => {
    const { raw } = await anItem()
    const answers = await Promise.allSettled(Array.from({ length: 51 }, () => threads.check(raw, anId())))
    assert.equal(answers.filter(({ status }) => status === 'fulfilled').length, 50)
    const refused = answers.find(answer => answer.status === 'rejected')
    assert.equal(refused?.reason.code, 'OVERLOADED')
    assert.equal(await threads.check(raw, anId()), true)
    assert.equal(threads.queued, 0)
  })

  it('lets an item for a quiet Process pass the many that wait for a hot one', async () => {
    const { raw } = await anItem()
    await threads.stop()
    threads = new CheckThreads(silentTelemetry, { threads: 1, maxChunk: 4, maxQueued: 50 })
    await threads.start()
    const done: string[] = []
    const check = (name: string): Promise<unknown> => threads.check(raw, anId(name)).then(() => done.push(name))
    const hot = Array.from({ length: 45 }, () => check('hot'))
    await Promise.all([...hot, check('quiet')])
    assert.ok(done.indexOf('quiet') < 20, `${done.indexOf('quiet')} before it`)
  })

  it('answers what waits when it stops, and leaves checking to the pool of Node', async () => {
    const { raw } = await anItem()
    const waiting = threads.check(raw, anId())
    await Promise.all([assert.rejects(waiting, { code: 'STOPPING' }), threads.stop()])
    assert.equal((await verifyDataItemAside(raw)).raw, raw)
  })
})

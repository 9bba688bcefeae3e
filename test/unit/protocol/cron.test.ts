import assert from 'node:assert/strict'
import fc from 'fast-check'
import { assertCrons, type CronTick, cronsBetween, fullTicks, nextRun, parseCrons } from '../../../src/protocol/cron.ts'
import type { Tag } from '../../../src/protocol/tags.ts'

const origin = { timestamp: 1_700_000_000_250, blockHeight: 100 }
/** A block each two minutes. */
const timeOf = async (height: number): Promise<number> => origin.timestamp - 250 + (height - 100) * 120_000
const cron = (interval: string, ...tags: readonly string[]): Tag[] => [
  { name: 'Cron-Interval', value: interval },
  ...tags.map(value => ({ name: 'Cron-Tag-Action', value })),
]
const all = async (ticks: AsyncIterable<CronTick>): Promise<CronTick[]> => {
  const found: CronTick[] = []
  for await (const tick of ticks) found.push(tick)
  return found
}
const later = (ms: number, blocks = 0) => ({ timestamp: origin.timestamp + ms, blockHeight: 100 + blocks })
const between = (
  tags: readonly Tag[],
  left: ReturnType<typeof later>,
  right: ReturnType<typeof later>,
  before?: number,
) => all(cronsBetween(parseCrons(tags), { origin, left, right, timeOf, blocksBefore: before }))
const seconds = ({ place }: CronTick): number => (place.timestamp - origin.timestamp + 250) / 1000

describe('protocol/cron', () => {
  it('reads intervals as aoconnect writes them, and leaves out what is none', () => {
    const crons = parseCrons([
      ...cron('1-hour', 'hourly'),
      ...cron('10-seconds', 'often'),
      ...cron('5-blocks', 'blocks'),
      ...cron('0-minutes', 'never'),
      ...cron('soon', 'never'),
    ])
    assert.deepEqual(
      crons.map(({ id, every, tags }) => [id, every, tags[0]?.value]),
      [
        ['0-5-blocks', 5, 'blocks'],
        ['0-10-seconds', 10, 'often'],
        ['1-1-hour', 3600, 'hourly'],
      ],
    )
    assert.throws(() => assertCrons(cron('soon')), { code: 'INVALID_DATA_ITEM' })
    assert.throws(() => assertCrons(Array.from({ length: 17 }, () => cron('1-hour')).flat()), /too many/)
    assertCrons(cron('1-minute'))
  })

  it('ticks at whole seconds from the Process on, never at it, before the next message and not at its time', async () => {
    const ticks = await between(cron('10-seconds'), later(0), later(29_750))
    assert.deepEqual(ticks.map(seconds), [10, 20])
    // The tick at the very time of a message comes after it.
    assert.deepEqual((await between(cron('10-seconds'), later(29_750), later(45_000))).map(seconds), [30, 40])
  })

  it('takes the blocks that one Assignment saw and the one before had not, each at its time', async () => {
    const ticks = await between([...cron('2-blocks'), ...cron('2-minutes')], later(0), later(610_000, 5))
    assert.deepEqual(
      ticks.map(tick => `${tick.place.id} ${seconds(tick)} ${tick.place.blockHeight}`),
      [
        '0-2-minutes 120 100',
        '0-2-blocks 240 102',
        '0-2-minutes 240 102',
        '0-2-minutes 360 102',
        '0-2-blocks 480 104',
        '0-2-minutes 480 104',
        '0-2-minutes 600 104',
      ],
    )
  })

  it('puts a block that the SU saw late after the message before it', async () => {
    const [tick] = await between(cron('1-block'), later(500_000, 0), later(600_000, 1))
    assert.deepEqual([tick?.place.blockHeight, tick?.place.timestamp], [101, origin.timestamp + 500_000])
  })

  it('gives a beginning of the same list for an earlier end, and no tick twice over any cuts', async () => {
    const tags = [...cron('7-seconds'), ...cron('1-minute'), ...cron('2-blocks')]
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 3_000_000 }), { maxLength: 4 }), async cuts => {
        const end = later(3_000_000, 25)
        const whole = await between(tags, later(0), end)
        for (const ms of cuts) {
          const blocks = Math.floor(ms / 120_000)
          const until = Math.min(origin.timestamp + ms, await timeOf(100 + blocks))
          const part = await between(tags, later(0), { timestamp: until, blockHeight: 100 + blocks }, until)
          assert.deepEqual(part, whole.slice(0, part.length))
        }
        // Messages in between bound gaps: every tick lies in one of them.
        const edges = [0, ...[...cuts].sort((a, b) => a - b), 3_000_000]
        const seen: string[] = []
        for (let i = 1; i < edges.length; i++) {
          const at = (ms = 0) => later(ms, Math.floor(ms / 120_000))
          for (const { place } of await between(cron('7-seconds'), at(edges[i - 1]), at(edges[i]))) {
            seen.push(String(place.timestamp))
          }
        }
        assert.deepEqual(seen, [...new Set(seen)])
        assert.equal(seen.length, Math.ceil((3_000_000 + 250) / 7_000) - 1)
      }),
      { numRuns: 30 },
    )
  })

  it('costs a bounded number of evaluations, however long a Process lies idle: the rule of the meter', async () => {
    let runs = 0
    let gaps = 1
    for (let tick = 0; tick < 366 * 86_400; tick = nextRun(tick + 1)) runs++
    assert.ok(runs < 10_000, String(runs))
    const ticks = await between(cron('1-second'), later(0), later(86_400_000))
    assert.deepEqual(
      ticks.slice(0, fullTicks).map(seconds),
      Array.from({ length: fullTicks }, (_, i) => i + 1),
    )
    for (const [i, tick] of ticks.entries()) gaps = Math.max(gaps, seconds(tick) - seconds(ticks[i - 1] ?? tick))
    assert.ok(ticks.length < 5_500 && gaps === 128, `${ticks.length} ${gaps}`)
  })
})

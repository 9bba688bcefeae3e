import { AoError } from '../lib/errors.ts'
import { parseNonce } from './ids.ts'
import type { Tag } from './tags.ts'

/** What a Process asks for with `Cron-Interval` and the `Cron-Tag-*` after it. */
export interface CronSpec {
  readonly unit: 'seconds' | 'blocks'
  readonly every: number
  /** `<index>-<interval>`, the index counted over the crons of one kind, shortest interval first among times. */
  readonly id: string
  readonly tags: readonly Tag[]
}

/** One cron message: between two messages of the schedule, in the order of these fields. */
export interface CronPlace {
  /** Milliseconds since the Unix epoch. */
  readonly timestamp: number
  readonly blockHeight: number
  readonly id: string
}

/** After everything of that time. */
export const endOf = (timestamp: number): CronPlace => ({ timestamp, blockHeight: Number.MAX_SAFE_INTEGER, id: '' })

export const isBlockCron = (id: string): boolean => /-blocks?$/.test(id)

/** Blocks go before times, as in the reference CU; `endOf` after both. */
export const cronKind = ({ id }: CronPlace): number => (id === '' ? 255 : isBlockCron(id) ? 0 : 1)
export const cronIndex = ({ id }: CronPlace): number => Number(id.split('-', 1)[0])

export function compareCrons(a: CronPlace, b: CronPlace): number {
  const by = (of: (place: CronPlace) => number): number => of(a) - of(b)
  const kind = by(cronKind)
  if (a.timestamp !== b.timestamp) return by(({ timestamp }) => timestamp)
  if (kind !== 0) return kind
  return cronKind(a) === 0 && a.blockHeight !== b.blockHeight ? a.blockHeight - b.blockHeight : by(cronIndex)
}

/** Where a result stands: a message, or a cron message after it. */
export interface Placed {
  readonly nonce: number
  readonly cron?: CronPlace | undefined
}

export function comparePlaces(a: Placed, b: Placed): number {
  if (a.nonce !== b.nonce) return a.nonce - b.nonce
  if (a.cron === undefined || b.cron === undefined) return Number(a.cron !== undefined) - Number(b.cron !== undefined)
  return compareCrons(a.cron, b.cron)
}

/** As it stands in `From-Nonce` and in attestations: without spaces inside. */
export const cronText = ({ timestamp, blockHeight, id }: CronPlace): string => `${timestamp} ${blockHeight} ${id}`
export const cronTextPattern = /^[0-9]{1,15} [0-9]{1,15} [0-9]{1,3}-[0-9]{1,12}-[a-z]{1,12}$/

/** @throws AoError `INVALID_ARGUMENT` */
export function parseCronText(text: string): CronPlace {
  const [timestamp, blockHeight, id = ''] = text.split(' ')
  if (!cronTextPattern.test(text)) throw new AoError('INVALID_ARGUMENT', 'not the place of a cron message')
  return { timestamp: parseNonce(timestamp, 'timestamp'), blockHeight: parseNonce(blockHeight, 'height'), id }
}

/** More are not run; a Process that asks for more is refused at the spawn. */
export const maxCrons = 16

/**
 * The crons of a Process by its tags, at most `maxCrons`; an interval that cannot be read is left out, the same on every
 * node. Blocks first, then times, shortest interval first.
 */
export function parseCrons(tags: readonly Tag[]): readonly CronSpec[] {
  const found: { interval: Interval; tags: Tag[] }[] = []
  let current: Tag[] | undefined
  for (const { name, value } of tags) {
    if (name === 'Cron-Interval') {
      const interval = found.length < maxCrons ? parseInterval(value) : undefined
      current = interval && []
      if (interval !== undefined && current !== undefined) found.push({ interval, tags: current })
    } else if (name.startsWith('Cron-Tag-')) current?.push({ name: name.slice('Cron-Tag-'.length), value })
  }
  const blocks = found.filter(({ interval }) => interval.unit === 'blocks')
  const times = found.filter(({ interval }) => interval.unit === 'seconds')
  times.sort((a, b) => a.interval.every - b.interval.every)
  const named = ({ interval, tags }: (typeof found)[number], index: number): CronSpec => ({
    ...{ unit: interval.unit, every: interval.every, tags },
    id: `${index}-${interval.text}`,
  })
  return [...blocks.map(named), ...times.map(named)]
}

/** @throws AoError `INVALID_DATA_ITEM` if one of the crons of a Process would not run. */
export function assertCrons(tags: readonly Tag[]): void {
  const asked = tags.filter(({ name }) => name === 'Cron-Interval')
  const wrong = asked.find(({ value }) => parseInterval(value) === undefined)
  if (wrong === undefined && asked.length <= maxCrons) return
  throw new AoError(
    'INVALID_DATA_ITEM',
    wrong === undefined ? 'the Process has too many Cron-Interval tags' : 'a Cron-Interval cannot be read',
    { value: wrong?.value.slice(0, 32), crons: asked.length, limit: maxCrons },
    { hint: 'Write a whole number and a unit from seconds to years, or blocks: 10-minutes, 1-hour, 5-blocks.' },
  )
}

interface Interval {
  readonly unit: 'seconds' | 'blocks'
  readonly every: number
  readonly text: string
}

/** Seconds; a year as the reference's library counts it. */
const seconds: Readonly<Record<string, number>> = {
  ...{ second: 1, minute: 60, hour: 3_600, day: 86_400, week: 604_800, month: 2_629_800, year: 31_557_600 },
}

function parseInterval(value: string): Interval | undefined {
  const [, count = '', word = ''] = /^([1-9][0-9]{0,8})-([a-z]{3,9})$/.exec(value.trim().toLowerCase()) ?? []
  const unit = word.replace(/s$/, '')
  const text = `${count}-${word}`
  if (unit === 'block') return { unit: 'blocks', every: Number(count), text }
  const each = seconds[unit]
  return each === undefined ? undefined : { unit: 'seconds', every: Number(count) * each, text }
}

/**
 * Meter rule: the first 1,024 ticks of a cron after a message are run, of the next 1,024 every second one, of the 2,048
 * after them every fourth, and so on, 512 for each doubling. So a one-second cron left idle for a year costs some 9,000
 * evaluations and not 31 million; any message to the Process starts the count anew. Which ticks are run does not depend
 * on when anybody looks.
 */
export const fullTicks = 1_024

/** The first tick that is run from `tick` on, counted from 0 after the last message. */
export function nextRun(tick: number): number {
  let stride = 1
  for (let until = fullTicks; tick >= until; until *= 2) stride *= 2
  return Math.ceil(tick / stride) * stride
}

/** Where a stretch of crons begins and ends. */
export interface CronGap {
  /** Nonce 0: intervals are counted from there, and nothing is run at it. */
  readonly origin: { readonly timestamp: number; readonly blockHeight: number }
  /** The message before. */
  readonly left: { readonly timestamp: number; readonly blockHeight: number }
  /** Ticks before that time, and blocks up to that height. */
  readonly right: { readonly timestamp: number; readonly blockHeight: number }
  /** Blocks only before that time; without it all up to the height. */
  readonly blocksBefore?: number | undefined
  /** Milliseconds since the Unix epoch of a block of Arweave. */
  readonly timeOf: (height: number) => Promise<number>
}

export interface CronTick {
  readonly place: CronPlace
  readonly tags: readonly Tag[]
}

/**
 * The cron messages between two messages, in order: those whose time is before the right one, and those of the blocks that
 * its Assignment has seen and the left one's had not. An earlier right end gives a beginning of the same list.
 */
export async function* cronsBetween(crons: readonly CronSpec[], gap: CronGap): AsyncGenerator<CronTick> {
  const blocks = blockTicks(
    crons.filter(({ unit }) => unit === 'blocks'),
    gap,
  )
  const times = timeTicks(
    crons.filter(({ unit }) => unit === 'seconds'),
    gap,
  )
  let height = gap.left.blockHeight
  let [block, time] = [await blocks.next(), times.next()]
  while (!block.done || !time.done) {
    if (!block.done && (time.done || block.value.place.timestamp <= time.value.place.timestamp)) {
      height = block.value.place.blockHeight
      yield block.value
      block = await blocks.next()
    } else if (!time.done) {
      const { place, tags } = time.value
      yield { place: { ...place, blockHeight: height }, tags }
      time = times.next()
    }
  }
}

function* timeTicks(crons: readonly CronSpec[], { origin, left, right }: CronGap): Generator<CronTick> {
  const start = Math.floor(origin.timestamp / 1000) * 1000
  const state = crons.map(cron => {
    const first = Math.max(1, Math.ceil((left.timestamp - start) / (cron.every * 1000)))
    return { cron, first, tick: 0 }
  })
  const timeOf = ({ cron, first, tick }: (typeof state)[number]): number => start + (first + tick) * cron.every * 1000
  for (;;) {
    let next: (typeof state)[number] | undefined
    for (const one of state) if (next === undefined || timeOf(one) < timeOf(next)) next = one
    if (next === undefined || timeOf(next) >= right.timestamp) return
    yield { place: { timestamp: timeOf(next), blockHeight: 0, id: next.cron.id }, tags: next.cron.tags }
    next.tick = nextRun(next.tick + 1)
  }
}

async function* blockTicks(crons: readonly CronSpec[], gap: CronGap): AsyncGenerator<CronTick> {
  const { origin, left, right, blocksBefore = Number.POSITIVE_INFINITY } = gap
  const state = crons.map(cron => {
    const first = Math.max(1, Math.floor((left.blockHeight - origin.blockHeight) / cron.every) + 1)
    return { cron, first, tick: 0 }
  })
  const heightOf = ({ cron, first, tick }: (typeof state)[number]): number =>
    origin.blockHeight + (first + tick) * cron.every
  let time = left.timestamp
  for (;;) {
    let next: (typeof state)[number] | undefined
    for (const one of state) if (next === undefined || heightOf(one) < heightOf(next)) next = one
    if (next === undefined) return
    const blockHeight = heightOf(next)
    if (blockHeight > right.blockHeight) return
    time = Math.max(time, await gap.timeOf(blockHeight)) // never back, whatever miners wrote
    if (time >= blocksBefore) return
    yield { place: { timestamp: time, blockHeight, id: next.cron.id }, tags: next.cron.tags }
    next.tick = nextRun(next.tick + 1)
  }
}

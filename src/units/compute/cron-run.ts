import { LRUCache } from 'lru-cache'
import { throwIfAborted } from '../../lib/abort.ts'
import { AoError } from '../../lib/errors.ts'
import type { ResultStore } from '../../ports/result-store.ts'
import type { ArweaveClient } from '../../ports/settlement.ts'
import type { ScheduleClock } from '../../ports/units.ts'
import type { Assignment } from '../../protocol/assignment.ts'
import { type CronGap, type CronTick, compareCrons, cronsBetween, isBlockCron } from '../../protocol/cron.ts'
import type { Nonce, ProcessId } from '../../protocol/ids.ts'
import type { Routes } from '../routing/route.ts'
import type { Attestor } from './attest.ts'
import { type Live, noteApplied } from './live.ts'
import { toCronMessage } from './messages.ts'

export interface CronDeps {
  readonly results: ResultStore
  readonly attestor: Pick<Attestor, 'record' | 'recordAll'>
  readonly blockTimes: BlockTimes
  readonly routes: Pick<Routes, 'scheduler'>
  readonly stopped: AbortSignal
  readonly cutOff: AbortSignal
  /** After each cron message, once it is recorded. */
  readonly applied: (live: Live) => void
}
export type Right = Pick<CronGap, 'right' | 'blocksBefore'>

/** Times of Arweave's blocks, each asked for once. */
export class BlockTimes {
  readonly #arweave: Pick<ArweaveClient, 'block'>
  readonly #kept = new LRUCache<number, number>({ max: 20_000 })

  constructor(arweave: Pick<ArweaveClient, 'block'>) {
    this.#arweave = arweave
  }

  /** @throws AoError `NOT_READY` if the gateway does not have the block yet. */
  readonly of = async (height: number): Promise<number> => {
    const time = this.#kept.get(height) ?? (await this.#arweave.block(height))?.timestamp
    if (time === undefined) {
      throw new AoError(
        'UNKNOWN_MESSAGE',
        'the gateway does not have a block that the scheduler has seen',
        { height },
        { hint: 'Ask again in a moment; if it stays, check the Arweave gateway of this Compute Unit.' },
      )
    }
    this.#kept.set(height, time)
    return time
  }
}

/** The crons before the next message, which that message's Assignment bounds. @throws AoError `EQUIVOCATION` */
export async function runCronsBefore(next: Assignment, process: ProcessId, live: Live, deps: CronDeps): Promise<void> {
  const { cron } = live
  const late = cron && (isBlockCron(cron.id) ? cron.blockHeight > next.blockHeight : cron.timestamp >= next.timestamp)
  if (late) {
    throw new AoError('EQUIVOCATION', 'the scheduler has broken its promise of the time', {
      process,
      nonce: next.nonce,
      timestamp: next.timestamp,
      cron: cron.timestamp,
    })
  }
  await runCrons(process, live, { right: next }, deps)
  live.cron = undefined
}

/**
 * The crons up to now, as the SU promises it. A Process with block crons goes as far as the newest block's time: what comes
 * before that can no longer change.
 */
export async function runCronsUpTo(
  clock: ScheduleClock,
  process: ProcessId,
  live: Live,
  deps: CronDeps,
): Promise<void> {
  const { timestamp, blockHeight } = clock
  if (!live.crons.some(({ unit }) => unit === 'blocks')) return runCrons(process, live, { right: clock }, deps)
  const until = Math.min(timestamp, await deps.blockTimes.of(blockHeight))
  await runCrons(process, live, { right: { timestamp: until, blockHeight }, blocksBefore: until }, deps)
}

/** The crons between the message that was applied last and a place given otherwise. */
export async function runCrons(process: ProcessId, live: Live, right: Right, deps: CronDeps): Promise<void> {
  const { at } = live
  if (at === undefined || live.crons.length === 0) return
  const origin = live.origin ?? (await originOf(process, at, deps))
  live.origin = origin
  const gap: CronGap = { ...right, origin, left: at, timeOf: deps.blockTimes.of }
  for await (const tick of cronsBetween(live.crons, gap)) {
    if (live.cron === undefined || compareCrons(tick.place, live.cron) > 0) await apply(tick, process, live, deps)
  }
}

/** Nonce 0, also where this CU began at a later checkpoint. */
async function originOf(
  process: ProcessId,
  at: Assignment,
  { results, routes, stopped }: CronDeps,
): Promise<Assignment> {
  if (at.nonce === 0) return at
  const first = 0 as Nonce
  const stored = await results.get(process, first)
  if (stored !== undefined) return stored.assignment
  const scheduler = await routes.scheduler(process, { signal: stopped })
  return scheduler.assignment(process, first, { signal: stopped })
}

async function apply(tick: CronTick, process: ProcessId, live: Live, deps: CronDeps): Promise<void> {
  const { at: assignment, route } = live
  if (assignment === undefined) return
  throwIfAborted(deps.stopped)
  const message = toCronMessage(route.item, tick)
  const { evaluation, stateRoot, stateNonce, applied } = await live.vm.handle(message, { signal: deps.cutOff })
  if (applied !== live.applied + 1) {
    throw new AoError('NOT_READY', 'the instance is not where it should be', { applied, nonce: assignment.nonce })
  }
  const result = { ...evaluation, process, nonce: assignment.nonce, cron: tick.place, stateRoot, stateNonce }
  const { module } = route.spec
  await deps.attestor.record({ result, assignment, module, previousStateRoot: live.root })
  live.cron = tick.place
  noteApplied(live, { stateRoot, stateNonce, applied })
  deps.applied(live)
}

import { setMaxListeners } from 'node:events'
import { type AbortOptions, withDeadline } from '../../lib/abort.ts'
import { AoError } from '../../lib/errors.ts'
import type { Scheduler, StateBound } from '../../ports/units.ts'
import type { Assignment } from '../../protocol/assignment.ts'
import { type CronPlace, endOf, parseCrons } from '../../protocol/cron.ts'
import type { MessageId, Nonce, ProcessId } from '../../protocol/ids.ts'
import type { NetworkParams } from '../../protocol/params.ts'
import { Admission } from './admission.ts'
import type { Attestor } from './attest.ts'
import { type CatchUpOptions, catchUp } from './catch-up.ts'
import { type Right, runCrons } from './cron-run.ts'
import { setupOf } from './evaluate.ts'
import type { FlowDeps } from './flow.ts'
import { learnNames } from './learn-names.ts'
import { type Ask, type Live, type LiveDeps, openLive } from './live.ts'
import type { Modules } from './modules.ts'
import type { Room, Sleeper } from './room.ts'

export interface PastDeps
  extends LiveDeps,
    Omit<FlowDeps, 'routes' | 'attestor' | 'applied' | 'writing' | 'recorded' | 'repeated'> {
  readonly modules: Modules
  readonly params: NetworkParams
  readonly attestor: Attestor
  readonly room: Room
  /** Where a message stands. */
  readonly nonceOf: (process: ProcessId, message: MessageId, options: AbortOptions) => Promise<Nonce>
}
export interface PastOptions extends CatchUpOptions {
  /** States of older times made at once; each holds an instance. */
  readonly maxPast: number
  /** How long making one may take, in milliseconds. */
  readonly pastMs: number
}

/** Records nothing. */
const comparing = (attestor: Attestor): FlowDeps['attestor'] => ({
  record: evaluated => attestor.compare([evaluated]),
  recordAll: evaluated => attestor.compare(evaluated),
})

interface Place {
  readonly scheduler: Scheduler
  /** The last message that counts. */
  readonly at: Assignment
  /** Which cron messages after it count; absent for none. */
  readonly crons?: { readonly right: Right; readonly until: CronPlace }
}

const nothing = async (): Promise<void> => undefined

/**
 * States of older times: made again on an instance beside the live one, from the last checkpoint before, and closed when
 * they have been looked at.
 *
 * Invariant: what is evaluated again is compared with what this CU has signed, and nothing is recorded.
 */
export class Past {
  readonly #deps: PastDeps
  readonly #options: PastOptions
  readonly #admission: Admission

  constructor(deps: PastDeps, options: PastOptions) {
    this.#deps = deps
    this.#options = options
    this.#admission = new Admission('states of older times are made', options.maxPast, deps.stopped)
  }

  /** States that are being made or looked at. */
  get open(): number {
    return this.#admission.waiting
  }

  /** @throws AoError `OVERLOADED` if too many are looked at, `DEADLINE` if it is too far from the last checkpoint. */
  look<T>(process: ProcessId, to: StateBound, { signal }: AbortOptions, ask: Ask<T>): Promise<T> {
    const options = { signal: withDeadline(this.#options.pastMs, { signal }) }
    return this.#admission.admit(options, async () => {
      const place = await this.#find(process, to, options)
      const owner = new Guest(process)
      const { room } = this.#deps
      await room.take(owner, AbortSignal.any([this.#deps.stopped, options.signal]))
      try {
        return await this.#at(place, process, options.signal, ask)
      } finally {
        room.give(owner)
      }
    })
  }

  async #at<T>({ at, scheduler, crons }: Place, process: ProcessId, signal: AbortSignal, ask: Ask<T>): Promise<T> {
    const stopped = AbortSignal.any([this.#deps.stopped, signal])
    setMaxListeners(0, stopped) // each evaluation listens
    const deps = { ...this.#deps, stopped, cutOff: stopped }
    const { routes, modules, pool, params } = deps
    const route = await routes.process(process, { signal })
    const setup = { ...setupOf(process, route, await modules.get(route.spec.module), { pool, params }), isAside: true }
    await learnNames({ route, at }, scheduler, deps, this.#options)
    const live = await openLive(deps, { route, setup, until: { nonce: at.nonce, cron: crons?.until } })
    try {
      const flow = {
        ...deps,
        attestor: comparing(deps.attestor),
        applied: nothing,
        writing: nothing,
        recorded: nothing,
        repeated: nothing,
      }
      if ((live.at?.nonce ?? -1) < at.nonce) await catchUp(live, { scheduler, to: () => at.nonce }, flow, this.#options)
      const last = assertThere(live, at)
      if (crons !== undefined) await runCrons(process, live, crons.right, flow)
      return await ask(live, last)
    } finally {
      await live.vm.close().catch(nothing)
    }
  }

  async #find(process: ProcessId, to: StateBound, options: AbortOptions): Promise<Place> {
    const scheduler = await this.#deps.routes.scheduler(process, options)
    if (typeof to === 'string') {
      const nonce = await this.#deps.nonceOf(process, to, options)
      return { scheduler, at: await scheduler.assignment(process, nonce, options) }
    }
    const { at, next } = await around(process, to.timestamp, scheduler, options)
    const { item } = await this.#deps.routes.process(process, options)
    if (parseCrons(item.tags).length === 0) return { scheduler, at }
    const end = next ?? (await this.#now(process, scheduler, options))
    const before = Math.min(end.timestamp, to.timestamp + 1)
    const right = { right: { timestamp: before, blockHeight: end.blockHeight }, blocksBefore: before }
    return { scheduler, at, crons: { right, until: endOf(to.timestamp) } }
  }

  /** As far as the scheduler promises that nothing comes any more. */
  async #now(process: ProcessId, scheduler: Scheduler, options: AbortOptions): Promise<Right['right']> {
    const { timestamp, blockHeight } = await scheduler.clock(process, options)
    return { timestamp: Math.min(timestamp, await this.#deps.blockTimes.of(blockHeight)), blockHeight }
  }
}

/** The last Assignment whose time is not after that, and the one after it. Timestamps never go back. */
async function around(
  process: ProcessId,
  timestamp: number,
  scheduler: Scheduler,
  options: AbortOptions,
): Promise<{ readonly at: Assignment; readonly next: Assignment | undefined }> {
  const newest = await scheduler.assignment(process, 'newest', options)
  if (newest.timestamp <= timestamp) return { at: newest, next: undefined }
  let at = await scheduler.assignment(process, 0 as Nonce, options)
  if (at.timestamp > timestamp) {
    throw new AoError('UNKNOWN_MESSAGE', 'the Process was not there yet', { process, to: timestamp })
  }
  let next = newest
  while (next.nonce - at.nonce > 1) {
    const middle = await scheduler.assignment(process, Math.floor((at.nonce + next.nonce) / 2) as Nonce, options)
    if (middle.timestamp <= timestamp) at = middle
    else next = middle
  }
  return { at, next }
}

function assertThere({ at }: Live, wanted: Assignment): Assignment {
  if (at?.id === wanted.id) return at
  throw new AoError(
    'UNKNOWN_MESSAGE',
    'the schedule of this Process does not go that far',
    { process: wanted.process, nonce: wanted.nonce },
    { hint: 'Ask again in a moment.' },
  )
}

/** Holds room as long as it is looked at: it cannot be put to sleep. */
class Guest implements Sleeper {
  readonly process: ProcessId
  readonly warmAt = undefined
  readonly canSleep = false
  readonly isEmpty = true
  readonly sleep = nothing
  readonly close = nothing

  constructor(process: ProcessId) {
    this.process = process
  }
}

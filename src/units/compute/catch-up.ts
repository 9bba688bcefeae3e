import { following } from '../../lib/abort.ts'
import { failpoint } from '../../lib/failpoint.ts'
import type { Scheduler } from '../../ports/units.ts'
import { type Id, type Nonce, nextNonce, type ProcessId } from '../../protocol/ids.ts'
import { Flow, type FlowDeps, type FlowOptions } from './flow.ts'
import type { Live } from './live.ts'
import { readAhead } from './read-ahead.ts'
import type { Saves } from './saves.ts'

export interface CatchUpOptions extends FlowOptions {
  /** A schedule that sends nothing for so long is given up, in milliseconds. */
  readonly readStallMs: number
  /** Rows of a schedule that are read, and their signatures checked, before their turn comes. */
  readonly rowsAhead: number
}

export interface CatchUpGoal {
  readonly scheduler: Scheduler
  /** Asked before it is read: up to where. */
  readonly to: () => Nonce
  /** Resolves when `to` is beyond that nonce: then it goes on while what came before is evaluated and written down. */
  readonly beyond?: ((nonce: Nonce) => Promise<void>) | undefined
  readonly saves?: Saves | undefined
}

/** Applies the schedule to an instance, from where it stands to that nonce, or as far as the schedule goes. */
export async function catchUp(
  live: Live,
  { scheduler, to, beyond, saves }: CatchUpGoal,
  deps: FlowDeps,
  options: CatchUpOptions,
): Promise<void> {
  const process = live.route.item.id as Id as ProcessId
  const { own: reading, release } = following(deps.stopped)
  const { signal } = reading
  const flow = new Flow(live, deps, options)
  const { readStallMs: stallMs } = options
  try {
    let next: number = nextNonce(live.at?.nonce)
    for (let end = to(); next <= end; end = to()) {
      const rows = scheduler.read(process, { from: next as Nonce, to: end }, { signal })
      const rowsAhead = Math.min(options.rowsAhead, end - next + 1)
      for await (const row of readAhead(rows, { rowsAhead, stallMs, signal })) {
        failpoint('cu-row-read')
        await flow.take(row)
        next = row.assignment.nonce + 1
        if (saves?.isDue(live) !== true) continue
        await flow.drained() // what is saved is a state that is recorded
        saves.begin(live)
      }
      if (next <= end || beyond === undefined) break
      const isMore = await Promise.race([flow.drained().then(no), beyond(end).then(yes)])
      if (!isMore) break
    }
    await flow.drained()
    if (saves?.isDue(live) === true) saves.begin(live)
  } catch (error) {
    reading.abort() // nobody reads on
    throw error
  } finally {
    release()
    await flow.settled()
  }
}

const yes = (): boolean => true
const no = (): boolean => false

import { AoError } from '../../lib/errors.ts'
import type { HostTable } from '../../ports/hosts.ts'
import type { PlacedMessage, ResultStore } from '../../ports/result-store.ts'
import type { Scheduler } from '../../ports/units.ts'
import { type Assignment, parseAssignment } from '../../protocol/assignment.ts'
import { verifyDataItem } from '../../protocol/data-item.ts'
import { type Id, type Nonce, nextNonce, type ProcessId } from '../../protocol/ids.ts'
import { originOf } from '../../protocol/origin.ts'
import type { SeenItem } from '../assigned-item.ts'
import type { Live } from './live.ts'
import { readAhead } from './read-ahead.ts'
import { checkScheduled } from './schedule-check.ts'

export interface LearnDeps {
  readonly results: ResultStore
  readonly hosts?: HostTable | undefined
  readonly assigned: (named: Pick<Assignment, 'message' | 'exclude'>) => Promise<SeenItem>
  readonly stopped: AbortSignal
}
export interface LearnOptions {
  readonly rowsAhead: number
  readonly readStallMs: number
}

/** Messages written down together. */
const chunk = 256

/**
 * For an instance that began at a checkpoint of another CU, or of one that has lost its disk: reads the schedule up to
 * there, evaluating nothing, so that a message which stood there is known as a repeat. Goes on where it was interrupted.
 *
 * @throws AoError `EQUIVOCATION` if that schedule does not lead to the Assignment of the checkpoint; else as
 * `checkScheduled`.
 */
export async function learnNames(
  { route, at }: Pick<Live, 'route'> & { readonly at: Assignment },
  scheduler: Scheduler,
  deps: LearnDeps,
  { rowsAhead, readStallMs: stallMs }: LearnOptions,
): Promise<void> {
  const { results, hosts, assigned, stopped: signal } = deps
  const process = route.item.id as Id as ProcessId
  const learned = await results.learned(process)
  if (await knowsAll(results, process, { at: at.nonce, learned })) return
  let previous = learned === undefined ? undefined : await assignmentAt(scheduler, process, learned)
  const judge = hosts && ((assignment: Assignment) => hosts.judge(assignment, route.spec.scheduler))
  const rows = scheduler.read(process, { from: nextNonce(learned), to: at.nonce }, { signal })
  let batch: PlacedMessage[] = []
  for await (const row of readAhead(rows, { rowsAhead, stallMs, signal })) {
    const rules = { scheduler: route.spec.scheduler, judge, previous, load: assigned }
    const { assignment, message } = await checkScheduled(process, row, rules)
    previous = assignment
    const origin = originOf(message, route.spec.authorities)
    batch.push({ nonce: assignment.nonce, message: assignment.message, origin })
    if (assignment.nonce === at.nonce) assertLeadsTo(at, assignment)
    if (batch.length < chunk) continue
    await results.learn(process, batch)
    batch = []
  }
  await results.learn(process, batch)
  if (previous?.nonce !== at.nonce) throw unfinished(process, at.nonce)
}

/** Whether the names of all messages up to there are stored: with their Results, or learned. */
async function knowsAll(
  results: ResultStore,
  process: ProcessId,
  { at, learned }: { readonly at: Nonce; readonly learned: Nonce | undefined },
): Promise<boolean> {
  if (learned !== undefined && learned >= at) return true
  return (await results.get(process, nextNonce(learned))) !== undefined
}

const unfinished = (process: ProcessId, nonce: Nonce): AoError =>
  new AoError(
    'UNKNOWN_MESSAGE',
    'the scheduler did not show the whole schedule before the checkpoint',
    { process, nonce },
    { hint: 'Ask again in a moment.' },
  )

async function assignmentAt(scheduler: Scheduler, process: ProcessId, nonce: Nonce): Promise<Assignment> {
  const { raw } = await scheduler.assignment(process, nonce)
  return parseAssignment(await verifyDataItem(raw))
}

function assertLeadsTo(at: Assignment, found: Assignment): void {
  if (at.id === found.id) return
  throw new AoError('EQUIVOCATION', 'the scheduler shows another assignment than the checkpoint stands at', {
    process: at.process,
    nonce: at.nonce,
    before: at.id,
    now: found.id,
    scheduler: found.scheduler,
  })
}

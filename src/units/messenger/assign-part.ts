import type { AbortOptions } from '../../lib/abort.ts'
import { AoError } from '../../lib/errors.ts'
import type { Scheduler } from '../../ports/units.ts'
import type { Assignment } from '../../protocol/assignment.ts'
import { isId, type MessageId, type ProcessId, parseId } from '../../protocol/ids.ts'
import type { AssignmentRequest } from '../../protocol/result.ts'
import { type Tag, tagValue } from '../../protocol/tags.ts'
import { reasonOf } from '../failure.ts'
import { isTransient } from './retry.ts'

export interface AssignedTo {
  readonly assigned: readonly Assignment[]
  /** Why some Processes will never get it; undefined if all have. */
  readonly reason: string | undefined
}

/** Processes of one request: an SU is asked for each. */
const maxProcesses = 100

/**
 * Has one item ordered in several Processes. Asking again after a crash gives the same Assignments, so all of them are
 * asked for each time.
 *
 * @throws AoError while one of them may still work; `NOT_ALLOWED` if there are too many; the first failure if none did.
 */
export async function assignToAll(
  request: AssignmentRequest,
  { scheduler, ...options }: AbortOptions & { readonly scheduler: Scheduler },
): Promise<AssignedTo> {
  const { message: item, processes, baseLayer, exclude } = request
  if (processes.length > maxProcesses) throw tooMany(processes.length)
  const assigned: Assignment[] = []
  const failures: unknown[] = []
  for (const process of new Set(processes)) {
    try {
      const checked = { process: idOf<ProcessId>(process), item: idOf<MessageId>(item), baseLayer, exclude }
      assigned.push(await scheduler.assign(checked, options))
    } catch (error) {
      if (isTransient(error)) throw error
      failures.push(error)
    }
  }
  if (failures.length === 0) return { assigned, reason: undefined }
  if (assigned.length === 0) throw failures[0]
  const reason = `${failures.length} of ${processes.length} Processes refused it: ${reasonOf(failures[0])}`
  return { assigned, reason }
}

/** The Processes that an outbox message asks to be assigned to besides, in its tag `Assignments`: a list as JSON. */
export function alsoAssignedTo(tags: readonly Tag[]): readonly string[] {
  const text = tagValue(tags, 'Assignments')
  if (text === undefined) return []
  try {
    const list: unknown = JSON.parse(text)
    return Array.isArray(list) ? list.filter(entry => typeof entry === 'string') : []
  } catch {
    return isId(text) ? [text] : []
  }
}

const idOf = <T extends ProcessId | MessageId>(text: string): T => parseId<T>(text)

const tooMany = (processes: number): AoError =>
  new AoError(
    'NOT_ALLOWED',
    'an Assignment names too many Processes',
    { processes, limit: maxProcesses },
    { hint: 'Assign to fewer at a time.' },
  )

import { AoError } from '../../lib/errors.ts'
import type { Scheduler } from '../../ports/units.ts'
import { type MessageId, type Nonce, type ProcessId, parseId, parseNonce } from '../../protocol/ids.ts'
import type { CallRunner, Listening } from './call-runner.ts'
import { assignFromWire, atFromWire, itemFromWire, scheduledToWire } from './convert.ts'
import { grouped } from './gathering.ts'
import type {
  GetAssignmentRequest,
  SchedulerServer,
  ScheduleStreamRequest,
  ScheduleStreamResponse,
} from './generated/ao/v1/scheduler.ts'
import { toDetailBytes } from './status.ts'

/** A Scheduler on the wire. Items are verified here, so the unit is only ever handed a DataItem. */
export function schedulerService(
  calls: CallRunner,
  scheduler: Scheduler,
  { maxInFlight }: { readonly maxInFlight: number },
): SchedulerServer {
  const schedule = async (item: Uint8Array, options: Listening): Promise<Uint8Array> =>
    (await scheduler.schedule(await itemFromWire(item), options)).raw

  const scheduleTagged = async (
    { tag, item }: ScheduleStreamRequest,
    options: Listening,
  ): Promise<ScheduleStreamResponse> => {
    try {
      return answer(tag, { $case: 'assignment', value: await schedule(item, options) })
    } catch (error) {
      return answer(tag, { $case: 'error', value: toDetailBytes(error) })
    }
  }

  return {
    schedule: calls.unary(async ({ item }, options) => ({ assignment: await schedule(item, options) })),
    scheduleStream: calls.exchange(maxInFlight, {
      requestsIn,
      run: scheduleTagged,
      join: (answers, { takesMore }) => (takesMore ? joined(answers) : answers),
    }),
    assign: calls.unary(async (request, options) => {
      const assignment = await scheduler.assign(assignFromWire(request), options)
      return { assignment: assignment.raw }
    }),
    getAssignment: calls.unary(async ({ process, at }, options) => {
      const assignment = await scheduler.assignment(processId(process), whichAssignment(at), options)
      return { assignment: assignment.raw }
    }),
    getClock: calls.unary(async ({ process }, options) => scheduler.clock(processId(process), options)),
    getProcess: calls.unary(async ({ process, here }, { signal }) => {
      const item = await scheduler.process(processId(process), { signal, here })
      return { item: item.raw }
    }),
    readSchedule: calls.serverStream(async function* ({ process, from, to, follow, kept }, options) {
      const range = { from: parseNonce(from), to: to === undefined ? undefined : parseNonce(to), follow, kept }
      for await (const row of scheduler.read(processId(process), range, options)) yield scheduledToWire(row)
    }),
  }
}

function requestsIn(request: ScheduleStreamRequest): readonly ScheduleStreamRequest[] {
  const { more } = request
  if (more.length === 0) return [request]
  if (more.length < maxTogether) return [request, ...more]
  throw new AoError('TOO_LARGE', 'too many submissions in one message', { submissions: more.length, max: maxTogether })
}

/** Some more than our own nodes put into one message. */
const maxTogether = 256

const answer = (tag: number, outcome: ScheduleStreamResponse['outcome']): ScheduleStreamResponse => ({
  ...{ tag, outcome, more: [], takesMore: true },
})

const joined = (answers: readonly ScheduleStreamResponse[]): readonly ScheduleStreamResponse[] =>
  grouped(answers, ({ outcome }) => outcome?.value.length ?? 0).map(([first, ...more]) => ({ ...first, more }))

const processId = (text: string): ProcessId => parseId<ProcessId>(text, 'process')

function whichAssignment(at: GetAssignmentRequest['at']): MessageId | Nonce | 'newest' {
  if (at?.$case !== 'newest') return atFromWire(at)
  if (!at.value) throw new AoError('INVALID_ARGUMENT', 'newest is asked for by true only')
  return 'newest'
}

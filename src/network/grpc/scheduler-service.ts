import { AoError } from '../../lib/errors.ts'
import type { Scheduler } from '../../ports/units.ts'
import { type MessageId, type Nonce, type ProcessId, parseId, parseNonce } from '../../protocol/ids.ts'
import type { CallRunner } from './call-runner.ts'
import { assignFromWire, atFromWire, itemFromWire, scheduledToWire } from './convert.ts'
import { tagged } from './exchange-service.ts'
import type {
  GetAssignmentRequest,
  SchedulerServer,
  ScheduleStreamRequest,
  ScheduleStreamResponse,
} from './generated/ao/v1/scheduler.ts'
import type { Listening } from './listening.ts'
import type { Exchange } from './server-exchange.ts'

/** A Scheduler on the wire. Items are verified here, so the unit is only ever handed a DataItem. */
export function schedulerService(
  calls: CallRunner,
  scheduler: Scheduler,
  { maxInFlight }: { readonly maxInFlight: number },
): SchedulerServer {
  const schedule = async (item: Uint8Array, options: Listening): Promise<Uint8Array> =>
    (await scheduler.schedule(await itemFromWire(item), options)).raw

  return {
    schedule: calls.unary(async ({ item }, options) => ({ assignment: await schedule(item, options) })),
    scheduleStream: calls.exchange(maxInFlight, taggedItems(schedule)),
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

/** A stream of items, each answered with the signed bytes of its Assignment. */
export const taggedItems = (
  assign: (item: Uint8Array, options: Listening) => Promise<Uint8Array>,
): (() => Exchange<ScheduleStreamRequest, ScheduleStreamResponse>) =>
  tagged({
    isEmpty: ({ item }) => item.length === 0,
    answer: async ({ item }, options) => ({ $case: 'assignment' as const, value: await assign(item, options) }),
    bytesOf: outcome => outcome?.value.length ?? 0,
  })

const processId = (text: string): ProcessId => parseId<ProcessId>(text, 'process')

function whichAssignment(at: GetAssignmentRequest['at']): MessageId | Nonce | 'newest' {
  if (at?.$case !== 'newest') return atFromWire(at)
  if (!at.value) throw new AoError('INVALID_ARGUMENT', 'newest is asked for by true only')
  return 'newest'
}

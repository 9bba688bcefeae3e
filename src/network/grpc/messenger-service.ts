import { copyOf } from '../../lib/bytes.ts'
import type { Messenger } from '../../ports/units.ts'
import { type MessageId, type ProcessId, parseId } from '../../protocol/ids.ts'
import type { CallRunner } from './call-runner.ts'
import { assignFromWire, progressToWire } from './convert.ts'
import type { MessengerServer } from './generated/ao/v1/messenger.ts'
import type { Listening } from './listening.ts'
import { taggedItems } from './scheduler-service.ts'

/** A Messenger on the wire. It takes bytes, because verifying at the door is its own work. */
export const messengerService = (
  calls: CallRunner,
  messenger: Messenger,
  { maxInFlight }: { readonly maxInFlight: number },
): MessengerServer => ({
  submit: calls.unary(async ({ item }, options) => ({ assignment: await submitted(messenger, item, options) })),
  submitStream: calls.exchange(
    maxInFlight,
    taggedItems((item, options) => submitted(messenger, item, options)),
  ),
  promise: calls.unary(async ({ item }, options) => ({
    promise: (await messenger.promise(copyOf(item), options)).raw,
  })),
  assign: calls.unary(async (request, options) => {
    const assignment = await messenger.assign(assignFromWire(request), options)
    return { assignment: assignment.raw }
  }),
  monitor: calls.unary(async ({ process }, options) => {
    await messenger.monitor(processId(process), options)
    return {}
  }),
  unmonitor: calls.unary(async ({ process }, options) => {
    await messenger.unmonitor(processId(process), options)
    return {}
  }),
  crank: calls.unary(async ({ process, message, depth, part }, options) => {
    await messenger.crank(processId(process), messageId(message), { ...options, depth, part })
    return {}
  }),
  follow: calls.serverStream(async function* ({ process, message, ownOnly, once }, options) {
    const following = messenger.follow(processId(process), messageId(message), { ...options, ownOnly, once })
    for await (const progress of following) {
      yield { progress: progressToWire(progress) }
    }
  }),
})

const submitted = async (messenger: Messenger, item: Uint8Array, options: Listening): Promise<Uint8Array> =>
  (await messenger.submit(copyOf(item), options)).raw

const processId = (text: string): ProcessId => parseId<ProcessId>(text, 'process')
const messageId = (text: string): MessageId => parseId<MessageId>(text, 'message')

import type { OriginEnvironment, OriginMessage } from './message.ts'
import { Origin } from './origin.ts'
import type { OriginResult } from './outbox.ts'

// The module as CUs run it (`js-quickjs-1`): this variable is the Process's state.
const origin = new Origin()

export const handle = (message: OriginMessage, environment: OriginEnvironment): OriginResult =>
  origin.handle(message, environment)

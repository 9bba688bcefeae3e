import { z } from 'zod'
import type { Trace } from '../../ports/trace.ts'
import { jsonFromWire, readable } from './convert.ts'

const undone = z.object({ state: z.enum(['waiting', 'failed', 'unknown']), reason: z.string() })
const stage = <T extends z.ZodRawShape>(done: T) => z.union([z.object({ state: z.literal('done'), ...done }), undone])
const count = z.int().nonnegative()
const text = z.string()
const partState = z.enum(['waiting', 'pushed', 'failed'])

const tracedMessage: z.ZodType = z.object({
  process: text,
  message: text,
  signer: text.optional(),
  action: text.optional(),
  ordered: stage({ nonce: count, assignment: text, scheduler: text, timestamp: count, blockHeight: count }),
  settled: stage({ bundle: text, blockHeight: count, confirmations: count }),
  computed: stage({ compute: text, stateRoot: text, error: text.optional() }),
  pushed: stage({}),
  messengers: z.array(
    z.object({
      messenger: text,
      state: z.enum(['queued', 'waiting', 'pushing', 'done', 'failed']),
      attempts: count,
      depth: count,
      at: z.number(),
      reason: text.optional(),
    }),
  ),
  parts: z.array(
    z.object({
      kind: z.enum(['message', 'spawn', 'assignment']),
      target: text,
      state: partState,
      reason: text.optional(),
      child: z.lazy(() => tracedMessage).optional(),
    }),
  ),
})

const trace = z.object({
  root: tracedMessage,
  also: z.array(tracedMessage),
  problems: z.array(
    z.object({
      process: text,
      message: text,
      stage: z.enum(['ordered', 'settled', 'computed', 'pushed', 'part']),
      state: z.enum(['waiting', 'failed', 'unknown']),
      reason: text,
    }),
  ),
  silent: z.array(z.object({ messenger: text, reason: text })),
  messages: count,
  cut: z.boolean(),
})

/** Its shape is checked; what it says is the node's word. @throws AoError `INVALID_RECORD` */
export const traceFromWire = (bytes: Uint8Array): Trace =>
  readable('a trace', () => trace.parse(jsonFromWire(bytes)) as unknown as Trace)

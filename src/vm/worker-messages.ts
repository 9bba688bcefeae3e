import { AoError, type ErrorCode, type ErrorFacts } from '../lib/errors.ts'
import type { BootItem, VmEnvironment, VmImage, VmLimits, VmMessage } from '../ports/vm.ts'
import type { LaneOptions } from './lane.ts'

/** What the pool asks of a worker, one at a time, `close` apart, which has no reply. `live` names an instance for as long as the worker holds it. */
export type WorkerRequest =
  | (ModuleKey & {
      readonly type: 'prepare'
      /** Absent at the first try: the worker may hold the compiled module. */
      readonly bytes?: Uint8Array | undefined
      /** What another worker answered, instead of `bytes`. */
      readonly code?: unknown
    })
  | (ModuleKey & {
      readonly type: 'open'
      readonly live: number
      readonly environment: VmEnvironment
      readonly image: VmImage | undefined
    })
  | {
      readonly type: 'handle'
      readonly live: number
      readonly message: VmMessage
      readonly boot: BootItem | undefined
    }
  | { readonly type: 'dry-run'; readonly live: number; readonly message: VmMessage }
  | { readonly type: 'reset'; readonly live: number; readonly image: VmImage }
  | { readonly type: 'snapshot'; readonly live: number }
  | { readonly type: 'close'; readonly live: number }

/** What a compiled module is kept under. */
export interface ModuleKey {
  readonly module: string
  readonly format: string
  readonly limits: VmLimits
}

/** Compiled modules that are kept, a few MB each; most Processes of a network share a handful. */
export const maxModules = 16

export const keyOf = ({ module, format, limits }: ModuleKey): string => `${module} ${format} ${limits.memoryBytes}`

/** The answer to `prepare`: nothing if the worker had it, or `PreparedModule.code`. */
export type PrepareOutcome = 'module-needed' | { readonly code: unknown } | undefined

/** The buffers of an image, to be handed over instead of copied. */
export const buffersOf = (image: VmImage | undefined): ArrayBuffer[] => [
  ...new Set(image?.pages.map(({ bytes }) => bytes.buffer)),
]

export type WorkerReply =
  | { readonly type: 'ready' }
  | { readonly type: 'done'; readonly value: unknown }
  | { readonly type: 'failed'; readonly error: PlainError }

/** The answer to `open`, `reset` and `handle`: what it gave, and what it cost. */
export interface Costed<T> {
  readonly value: T
  /** Milliseconds in the worker. */
  readonly tookMs: number
  readonly residentBytes: number
}

export interface WorkerOptions extends LaneOptions {
  readonly maxLive: number
  /** Of metered modules: `MeteredFiles`. Absent: none are kept. */
  readonly moduleDirectory?: string | undefined
}

/** An AoError as a structured clone carries it. */
export interface PlainError {
  readonly code: ErrorCode
  readonly message: string
  readonly facts: ErrorFacts
  readonly hint: string | undefined
  /** Text of the cause, for the log. */
  readonly cause: string | undefined
}

export function toPlainError(thrown: unknown): PlainError {
  const { code, message, facts, hint, cause } = AoError.from(thrown)
  return { code, message, facts, hint, cause: cause instanceof Error ? cause.stack : undefined }
}

export const fromPlainError = ({ code, message, facts, hint, cause }: PlainError): AoError =>
  new AoError(code, message, facts, { hint, cause })

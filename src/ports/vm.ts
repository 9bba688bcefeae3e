import type { AbortOptions } from '../lib/abort.ts'
import type { Json } from '../lib/json.ts'
import type { Id, ProcessId } from '../protocol/ids.ts'
import type { Evaluation } from '../protocol/result.ts'
import type { Tag } from '../protocol/tags.ts'

export interface VmLimits {
  readonly memoryBytes: number
  readonly gas: bigint
}

/** What a Process sees of itself; constant over its life. Shapes: compat.md section D. */
export interface VmEnvironment {
  readonly Process: { readonly Id: ProcessId; readonly Owner: string; readonly Tags: readonly Tag[] }
  readonly Module: { readonly Id: Id; readonly Owner: string; readonly Tags: readonly Tag[] }
}

/** A message as the module sees it: AO's field names, JSON values. */
export type VmMessage = { readonly [key: string]: Json }

export interface ProcessSetup {
  readonly process: ProcessId
  readonly module: Id
  readonly format: string
  readonly environment: VmEnvironment
  readonly limits: VmLimits
  /** The module's bytes; asked for only when no worker holds the compiled module. */
  loadModule(options?: AbortOptions): Promise<Uint8Array>
}

/** One evaluated message: what it gave, and the commitment to the state after it. */
export interface Step {
  readonly evaluation: Evaluation
  readonly stateRoot: Id
  /** How many messages the live instance has applied, this one included. */
  readonly applied: number
}

/**
 * One live Process. It owns the state; an evaluation with `error` leaves the state as it was.
 * Calls are answered in order, one at a time.
 */
export interface LiveProcess {
  /**
   * @throws AoError `UNSUPPORTED_MODULE` | `OVERLOADED` | `NOT_READY` (the worker died or the instance was evicted:
   * open again and replay) | `DEADLINE` (this message outlasted what the node allows; its worker was ended). Never
   * throws for what the Process itself did: that is an Evaluation with `error`.
   */
  handle(message: VmMessage, options?: AbortOptions): Promise<Step>
  /** As `handle`, and then the state is put back. */
  dryRun(message: VmMessage, options?: AbortOptions): Promise<Evaluation>
  close(): Promise<void>
}

/** Evaluates Processes off the main thread. `formats` are the Module-Formats it takes. */
export interface VmPool {
  readonly formats: readonly string[]
  /**
   * A fresh instance with nothing applied yet: the caller replays the schedule from nonce 0.
   *
   * @throws AoError `UNSUPPORTED_MODULE` if the format is unknown or the bytes are not such a module.
   */
  open(setup: ProcessSetup, options?: AbortOptions): Promise<LiveProcess>
}

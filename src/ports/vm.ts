import type { AbortOptions } from '../lib/abort.ts'
import type { Json } from '../lib/json.ts'
import type { Id, Nonce, ProcessId } from '../protocol/ids.ts'
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
  /** The state to go on from, instead of nothing applied. Its bytes are taken over: the caller must not use them again. */
  readonly image?: VmImage | undefined
  /** An instance that only one caller waits for: it shares threads with dry-runs, not with live Processes. */
  readonly isAside?: boolean | undefined
  /** Called if the instance is gone with its worker, whoever's doing that was. */
  readonly lost?: (() => void) | undefined
}

/** All the state of a Process: what `snapshot` takes and `open` goes on from. */
export interface VmImage {
  /** Length of the memory. */
  readonly memoryBytes: number
  /** Each mutable global as 64 bits, in index order; floats by their own bits. */
  readonly globals: readonly bigint[]
  /** Those pages of 64 KiB that are not zero, by ascending index. */
  readonly pages: readonly VmPage[]
  /** Of exactly this state: `stateRootOf` over the fields above. */
  readonly stateRoot: Id
  /** How many messages led to it. */
  readonly applied: number
  /**
   * What the VM itself counts from message to message: where the Process stands with its roots
   * (`rootProgressToJson`), without which an opened copy would name other roots than a run from nonce 0.
   */
  readonly counters: Json
}

export interface VmPage {
  readonly index: number
  /** `pageHash` of the bytes. */
  readonly hash: Id
  /** 64 KiB, in a buffer that holds pages of this image only, so that it can be handed over whole. */
  readonly bytes: Uint8Array<ArrayBuffer>
}

/** One evaluated message: what it gave, and the newest commitment to the state. */
export interface Step {
  readonly evaluation: Evaluation
  /** The state after message `stateNonce`: the newest at which a root was due (`protocol/root-rule.ts`), this one included. */
  readonly stateRoot: Id
  readonly stateNonce: Nonce
  /** How many messages the live instance has applied, this one included. */
  readonly applied: number
}

/** What the tag `On-Boot` of a Process names. */
export interface BootItem {
  readonly id: Id
  readonly data: Uint8Array
}
export interface HandleOptions extends AbortOptions {
  /** Given with the first message alone: modules that read files find it at `/data/<id>` while they evaluate that. */
  readonly boot?: BootItem | undefined
}

export interface VmUsage {
  /** Time spent on messages that were handled, in milliseconds. */
  readonly handledMs: number
  /** An estimate of the memory that the instance keeps resident. */
  readonly residentBytes: number
}

/**
 * One live Process. It owns the state; an evaluation with `error` leaves the state as it was.
 * Calls are answered in order, one at a time, dry-runs apart.
 */
export interface LiveProcess {
  /** What it has cost this machine so far, as of its last answer. */
  readonly usage: VmUsage
  /**
   * @throws AoError `UNSUPPORTED_MODULE` | `OVERLOADED` | `NOT_READY` (the worker died or the instance was evicted:
   * open again and replay) | `DEADLINE` (this message outlasted what the node allows; its worker was ended). Never
   * throws for what the Process itself did: that is an Evaluation with `error`. Who has many messages need not wait for
   * the answer to one before giving the next.
   */
  handle(message: VmMessage, options?: HandleOptions): Promise<Step>
  /**
   * Evaluates on a copy of the state: all that was answered before this call counts, and nothing of it is kept. Several
   * may run at once, and none of them holds up `handle`.
   *
   * @throws AoError as `handle`; `OVERLOADED` if too many wait.
   */
  dryRun(message: VmMessage, options?: AbortOptions): Promise<Evaluation>
  /** A copy of the state after all calls made before this one. @throws AoError as `handle`. */
  snapshot(options?: AbortOptions): Promise<VmImage>
  close(): Promise<void>
}

/** Evaluates Processes off the main thread. `formats` are the Module-Formats it takes. */
export interface VmPool {
  readonly formats: readonly string[]
  /**
   * A fresh instance, with nothing applied yet or as the image says: the caller replays the schedule from there.
   *
   * @throws AoError `UNSUPPORTED_MODULE` if the format is unknown or the bytes are not such a module; `STORE_CORRUPT`
   * if the image is not what its state root says, or of another module.
   */
  open(setup: ProcessSetup, options?: AbortOptions): Promise<LiveProcess>
}

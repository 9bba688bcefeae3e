import type { Nonce, ProcessId } from '../../protocol/ids.ts'

/** What may hold a live instance, as those see it who have to share memory out. */
export interface Sleeper {
  readonly process: ProcessId
  /** The nonce applied last; undefined while no instance is warm. */
  readonly warmAt: Nonce | undefined
  /** Whether it has a live instance that nobody needs now. */
  readonly canSleep: boolean
  /** Whether nothing would be lost by forgetting it. */
  readonly isEmpty: boolean
  /** Saves the state and closes the instance. */
  sleep(): Promise<void>
  /** As `sleep`, once it is no longer at work, and for good. */
  close(): Promise<void>
}

/** Where a Sleeper asks for room before it opens an instance, and says what becomes of it. */
export interface Room {
  /** Resolves when there is room, for which others may have to be put to sleep. @throws by the signal. */
  take(owner: Sleeper, signal: AbortSignal): Promise<void>
  resize(owner: Sleeper, bytes: number): void
  /** The instance is gone. */
  give(owner: Sleeper): void
  /** The owner has nothing more to do. */
  idle(owner: Sleeper): void
}

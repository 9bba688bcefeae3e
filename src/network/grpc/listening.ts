/** What whoever answers a call is given. */
export interface Listening {
  /** Fires with `DEADLINE` or `ABORTED` when the caller no longer waits, with `STOPPING` when the server ends streams. */
  readonly signal: AbortSignal
}

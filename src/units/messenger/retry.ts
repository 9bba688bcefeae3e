import { AoError, hasCode, retryAdvice } from '../../lib/errors.ts'

export interface RetryOptions {
  /** Pause before the first retry, doubled for each after it, in milliseconds. */
  readonly retryMs: number
  readonly maxRetryMs: number
  /** Pauses of this much in all, and a job is given up. */
  readonly maxRetryAgeMs: number
}

/** May it work later or elsewhere? Waits that were cut short may. */
export const isTransient = (error: unknown): boolean =>
  retryAdvice(error) !== 'no' || hasCode(AoError.from(error), 'ABORTED')

/**
 * How long to pause after so many failures; undefined when it is time to give up. Counts in pauses and not by the
 * clock, so a node that was down for an hour does not drop what it had queued.
 *
 * @param random from 0 to 1: a pause is between half and whole, so that many jobs do not come back at once.
 */
export function pauseBefore(attempts: number, random: number, options: RetryOptions): number | undefined {
  let waited = 0
  for (let attempt = 0; attempt < attempts; attempt++) waited += nominal(attempt, options)
  return waited >= options.maxRetryAgeMs ? undefined : nominal(attempts, options) * (0.5 + random / 2)
}

const nominal = (attempt: number, { retryMs, maxRetryMs }: RetryOptions): number =>
  Math.min(maxRetryMs, retryMs * 2 ** Math.min(attempt, 30))

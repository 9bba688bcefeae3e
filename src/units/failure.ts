import { AoError } from '../lib/errors.ts'
import type { LogFacts } from '../lib/telemetry.ts'

/** A failure as facts of a log line: its code, its text, what it is about and what lies under it. */
export function failureFacts(failure: unknown): LogFacts {
  const error = AoError.from(failure)
  const { cause } = error
  return {
    ...error.facts,
    code: error.code,
    reason: error.message,
    ...(cause === undefined ? {} : { cause: cause instanceof Error ? cause.message : String(cause) }),
  }
}

/** A failure in one line, for whoever reads the state of a job: `CODE: what happened. What to do.` */
export function reasonOf(failure: unknown): string {
  const { code, message, hint } = AoError.from(failure)
  return hint === undefined ? `${code}: ${message}` : `${code}: ${message}. ${hint}`
}

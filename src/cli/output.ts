import { AoError } from '../lib/errors.ts'

/** What `--json` changes: one JSON value on standard output instead of sentences. */
export interface OutputOptions {
  readonly json?: boolean | undefined
}

export const exitCodes = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const

/** Prints the outcome of a command: `text` for people, `value` for programs. */
export function printResult(text: string, value: unknown, { json }: OutputOptions): void {
  process.stdout.write(json === true ? `${JSON.stringify(value)}\n` : `${text}\n`)
}

/** Says on standard error that something is under way; silent with `--json` or without a terminal. */
export function progress(text: string, { json }: OutputOptions): void {
  if (json !== true && process.stderr.isTTY) process.stderr.write(`${text}\n`)
}

/** A user's mistake or a network's failure, without a stack: what, why, and the next step. */
export function printFailure(thrown: unknown, { json }: OutputOptions): void {
  const error = AoError.from(thrown)
  const { code, message, facts, hint } = error
  if (json === true) {
    process.stderr.write(`${JSON.stringify({ error: message, code, facts, hint })}\n`)
    return
  }
  const details = Object.entries(facts).map(([name, value]) => `  ${name}: ${String(value)}`)
  const lines = [`aonet: ${message} (${code})`, ...details, ...(hint === undefined ? [] : [`  → ${hint}`])]
  process.stderr.write(`${lines.join('\n')}\n`)
  if (code === 'INTERNAL') process.stderr.write(`${stackOf(thrown)}\n`)
}

/** Only for what is a bug of ours: then the stack is the useful part. */
const stackOf = (thrown: unknown): string => {
  const cause = thrown instanceof AoError ? thrown.cause : thrown
  return `  This is a bug in aonet. ${cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)}`
}

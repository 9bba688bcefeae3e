import { AoError } from '../lib/errors.ts'
import type { Json } from '../lib/json.ts'

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

/** A value as people read it: lists with commas, fields by name, what lies deeper in brackets. */
export function inWords(value: Json, isNested = false): string {
  if (value === null) return 'none'
  if (typeof value !== 'object') return String(value)
  if (isList(value)) return value.length === 0 ? 'none' : value.map(entry => inWords(entry, true)).join(', ')
  const fields = Object.entries(value).map(([name, field]) => `${spaced(name)} ${inWords(field, true)}`)
  return isNested ? `(${fields.join(', ')})` : fields.join(', ')
}

/** `Array.isArray` does not tell readonly lists from fields. */
const isList = (value: Json): value is readonly Json[] => Array.isArray(value)

/** `lastBundle` as `last bundle`. */
const spaced = (name: string): string => name.replace(/[A-Z]/g, letter => ` ${letter.toLowerCase()}`)

/** Only for what is a bug of ours: then the stack is the useful part. */
const stackOf = (thrown: unknown): string => {
  const cause = thrown instanceof AoError ? thrown.cause : thrown
  return `  This is a bug in aonet. ${cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)}`
}

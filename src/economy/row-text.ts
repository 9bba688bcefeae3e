import { canonicalJson } from '../lib/json.ts'

/** One text for equal rows; big integers as `#` and digits, and texts that begin with `#` with one more. */
export const encodeRow = (row: unknown): string => canonicalJson(toPlain(row))

export const decodeRow = <T>(text: string): T => fromPlain(JSON.parse(text)) as T

function toPlain(value: unknown): unknown {
  if (typeof value === 'bigint') return `#${value}`
  if (typeof value === 'string') return value.startsWith('#') ? `#${value}` : value
  if (Array.isArray(value)) return value.map(toPlain)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, toPlain(member)]))
}

function fromPlain(value: unknown): unknown {
  if (typeof value === 'string') {
    if (!value.startsWith('#')) return value
    return value.startsWith('##') ? value.slice(1) : BigInt(value.slice(1))
  }
  if (Array.isArray(value)) return value.map(fromPlain)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, fromPlain(member)]))
}

import { AoError, type ErrorCode, type ErrorFacts, isErrorCode } from '../../lib/errors.ts'
import type { ForeignAnswer } from './http.ts'

/** Codes of an aonet SU that say for good, or of the message itself, what is wrong. */
const believed: readonly ErrorCode[] = [
  'INVALID_ARGUMENT',
  'INVALID_DATA_ITEM',
  'TOO_LARGE',
  'NOT_ALLOWED',
  'INSUFFICIENT_STAKE',
  'UNKNOWN_PROCESS',
  'UNKNOWN_MESSAGE',
  'UNSUPPORTED',
]

/** What the reference SU says of an item that it will never take: status 400, as for everything else. */
const forGood =
  /signature|verif|(Type|Data-Protocol) tag|Required Module and Scheduler|Invalid tx id|\+link|invalid data ?item|parse/i

/** It has that message, or one that is equal to it. */
export const saysItHasIt = ({ status, text }: ForeignAnswer): boolean =>
  status >= 400 && status < 500 && /already exists/i.test(reasonIn(text).error)

/**
 * An answer that is no success, as an error that tells whether to try again. Statuses of reference SUs tell little: what
 * is not known to be for good may work later.
 */
export function refusal(answer: ForeignAnswer, facts: ErrorFacts): AoError {
  const { status } = answer
  const { error, code } = reasonIn(answer.text)
  const said = { ...facts, status, answer: error.slice(0, 200) }
  const say = (as: ErrorCode, what: string, hint?: string): AoError =>
    new AoError(as, error === '' ? what : `${what}: ${error.slice(0, 200)}`, said, { hint })
  if (status === 429) return say('OVERLOADED', 'the SU of another network asks to be left alone for now')
  if (status >= 500 || status === 408 || status === 425) {
    return say('PEER_UNREACHABLE', 'the SU of another network cannot answer now', 'Try again later.')
  }
  const refused = 'the SU of another network refuses it'
  const known = code !== undefined && isErrorCode(code) ? believed.find(one => one === code) : undefined
  if (known !== undefined) return say(known, refused)
  if (status === 413) return say('TOO_LARGE', refused)
  if (status === 401 || status === 403) return say('NOT_ALLOWED', refused)
  if (status === 404) return say('UNKNOWN_PROCESS', refused)
  if (status === 400 && forGood.test(error)) return say('INVALID_DATA_ITEM', refused)
  return say('PEER_UNREACHABLE', refused, 'It does not say whether it may work later.')
}

function reasonIn(text: string): {
  readonly error: string
  readonly code: string | undefined
} {
  try {
    const { error, code } = JSON.parse(text) as Record<string, unknown>
    return {
      error: typeof error === 'string' ? error : text,
      code: typeof code === 'string' ? code : undefined,
    }
  } catch {
    return { error: text, code: undefined }
  }
}

import { AoError } from '../lib/errors.ts'

/** Whose balance: an address of the network, or any name that a wallet of another kind uses. */
export type Account = string

/** Names that some reader of the state may take for something else than an account. */
const reserved = new Set([
  '__proto__', 'constructor', 'prototype', 'toString', 'valueOf', 'hasOwnProperty', 'path', 'balances', 'balance',
  'ledger', 'commitments', 'device', 'method',
]) // biome-ignore format: one line a topic

/** @throws AoError `INVALID_ARGUMENT` unless it is 1 to 128 printable ASCII characters without slash, space or quote. */
export function parseAccount(text: string | undefined, what = 'Recipient'): Account {
  if (text !== undefined && isAccount(text)) return text
  throw new AoError(
    'INVALID_ARGUMENT',
    `${what} is not an account`,
    { [what]: (text ?? '').slice(0, 64) },
    { hint: 'Give an address: 43 base64url characters, or 0x and 40 hexadecimal digits.' },
  )
}

export const isAccount = (text: string): boolean => /^[!#-.0-9:-[\]-~]{1,128}$/.test(text) && !reserved.has(text)

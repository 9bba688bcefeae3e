import type { Brand } from '../lib/brand.ts'
import { fromBase64Url, sha256Text, toBase64Url } from '../lib/bytes.ts'
import { AoError } from '../lib/errors.ts'

/** 43 base64url characters, 32 bytes. Minted only by `parseId`, `idFromBytes` and `idOf`. */
export type Id = Brand<string, 'Id'>
export type ProcessId = Id & Brand<string, 'ProcessId'>
export type MessageId = Id & Brand<string, 'MessageId'>
export type AssignmentId = Id & Brand<string, 'AssignmentId'>
export type ModuleId = Id & Brand<string, 'ModuleId'>
/** Whose key: base64url SHA-256 of the owner's public key, or the EIP-55 `0x…` form for Ethereum signers. */
export type Address = Brand<string, 'Address'>
/** Position in a Process's schedule; 0 is the Process item itself. */
export type Nonce = Brand<number, 'Nonce'>

const idPattern = /^[A-Za-z0-9_-]{43}$/
const ethereumPattern = /^0x[0-9a-fA-F]{40}$/

export const isId = (text: unknown): text is Id =>
  typeof text === 'string' && idPattern.test(text) && toBase64Url(fromBase64Url(text)) === text

/** @throws AoError `INVALID_ARGUMENT` unless `text` is 43 canonical base64url characters. */
export function parseId<T extends Id = Id>(text: unknown, what = 'id'): T {
  if (!isId(text)) {
    throw new AoError(
      'INVALID_ARGUMENT',
      `${what} is not an id`,
      { [what]: String(text).slice(0, 64) },
      { hint: 'An id is 43 base64url characters (letters, digits, - and _), the SHA-256 of a signature.' },
    )
  }
  return text as T
}

/** @throws AoError `INVALID_ARGUMENT` unless `text` is an id-shaped or an Ethereum address. */
export function parseAddress(text: unknown, what = 'address'): Address {
  if (typeof text === 'string' && (isId(text) || ethereumPattern.test(text))) return text as string as Address
  throw new AoError(
    'INVALID_ARGUMENT',
    `${what} is not an address`,
    { [what]: String(text).slice(0, 64) },
    { hint: 'An address is 43 base64url characters, or 0x and 40 hexadecimal digits.' },
  )
}

/** @throws AoError `INVALID_ARGUMENT` unless `value` is a whole number from 0 to 2^53 - 1. */
export function parseNonce(value: unknown, what = 'nonce'): Nonce {
  const number = typeof value === 'string' && /^(0|[1-9][0-9]{0,15})$/.test(value) ? Number(value) : value
  if (typeof number !== 'number' || !Number.isSafeInteger(number) || number < 0) {
    throw new AoError('INVALID_ARGUMENT', `${what} is not a whole number`, { [what]: String(value).slice(0, 32) })
  }
  return number as Nonce
}

export const nextNonce = (nonce: Nonce | undefined): Nonce => (nonce === undefined ? 0 : nonce + 1) as Nonce

/** @param bytes 32 bytes, such as a SHA-256. */
export function idFromBytes<T extends Id = Id>(bytes: Uint8Array): T {
  if (bytes.length !== 32) throw new TypeError(`an id is 32 bytes, not ${bytes.length}`)
  return toBase64Url(bytes) as T
}

/** The id of whoever has this signature: its SHA-256. */
export const idOf = <T extends Id = Id>(signature: Uint8Array): T => sha256Text(signature) as T

export const idToBytes = (id: Id): Uint8Array => fromBase64Url(id)

/** The address of an RSA or Ed25519 public key as it stands in a data item. */
export const addressOfKey = (ownerKey: Uint8Array): Address => sha256Text(ownerKey) as Address

/** A target field is 32 bytes: a Process, or a wallet with an Arweave-style address. */
export const fromTarget = (target: ProcessId | Address): ProcessId => parseId<ProcessId>(target, 'target')

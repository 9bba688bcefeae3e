import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { AoError } from '../lib/errors.ts'
import { type Address, parseAddress } from '../protocol/ids.ts'
import { generateKey, type PrivateJwk, type Signer, signerFromJwk } from '../protocol/keys.ts'
import { isKeystore, seal, unseal, writeSecret } from './keystore.ts'

/** A key file's content and what it signs with. */
export interface LoadedKey {
  readonly jwk: PrivateJwk
  readonly signer: Signer
  /** Whether the file is under a passphrase. */
  readonly encrypted: boolean
}

/**
 * Reads a key file: a JWK as it is, or under a passphrase. Others' read permission is a mistake, not a warning: whoever
 * reads the key is the node.
 *
 * @throws AoError `INVALID_CONFIG` if there is none, if it is no private key, if others may read it, or if it needs a
 * passphrase and none is given; `UNAUTHENTICATED` if the passphrase is wrong.
 */
export function loadKey(file: string, hint: string, passphrase?: string): LoadedKey {
  const content = readKeyFile(file, hint)
  const encrypted = isKeystore(content)
  if (encrypted && passphrase === undefined) {
    const next = 'Name a file with --key-passphrase-file, set AONET_KEY_PASSPHRASE, or start it in a terminal.'
    throw new AoError('INVALID_CONFIG', `${file} is under a passphrase, and none is given`, { file }, { hint: next })
  }
  const jwk = encrypted ? unseal(content, passphrase ?? '') : (content as PrivateJwk)
  try {
    const signer = signerFromJwk(jwk)
    if (!encrypted || content.address === signer.address) return { jwk, signer, encrypted }
    throw new AoError('INVALID_CONFIG', 'its address is that of another key')
  } catch (cause) {
    throw unusable(file, AoError.from(cause).message, cause, hint)
  }
}

/** Whose key a file holds, without its passphrase. @throws AoError `INVALID_CONFIG` as `loadKey`. */
export function addressOfKeyFile(file: string, hint: string): Address {
  const content = readKeyFile(file, hint)
  return isKeystore(content) ? parseAddress(content.address) : loadKey(file, hint).signer.address
}

/** Whether the file is under a passphrase. @throws AoError `INVALID_CONFIG` as `loadKey`. */
export const isEncryptedKey = (file: string, hint: string): boolean => isKeystore(readKeyFile(file, hint))

function readKeyFile(file: string, hint: string): unknown {
  if (!existsSync(file)) throw new AoError('INVALID_CONFIG', `there is no key file ${file}`, { file }, { hint })
  if (process.platform !== 'win32' && (statSync(file).mode & 0o077) !== 0) {
    throw new AoError(
      'INVALID_CONFIG',
      `others may read the key file ${file}`,
      { file },
      { hint: `Run: chmod 600 ${file}` },
    )
  }
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch (cause) {
    throw unusable(file, 'it is not JSON', cause, hint)
  }
}

const unusable = (file: string, reason: string, cause: unknown, hint: string): AoError =>
  new AoError('INVALID_CONFIG', `${file} is not a usable key: ${reason}`, { file }, { cause, hint })

/** In a data directory: the RSA wallet that `aonet init` makes for an SU. */
export const settlementWalletName = 'settlement-wallet.json'

/** Writes a key, under the passphrase if there is one. Replaces the file in one step. */
export function saveKey(file: string, jwk: PrivateJwk, passphrase: string | undefined): void {
  mkdirSync(dirname(file), { recursive: true })
  writeSecret(file, passphrase === undefined ? jwk : seal(jwk, passphrase))
}

/** Writes a new key that only its owner may read; an existing file is left alone and loaded. */
export function createKey(file: string, kind: 'ed25519' | 'rsa', passphrase?: string): LoadedKey {
  if (!existsSync(file)) saveKey(file, generateKey(kind), passphrase)
  return loadKey(file, 'Move the file away to have a new key made.', passphrase)
}

/** The first line of a file. @throws AoError `INVALID_CONFIG` */
export function readPassphraseFile(file: string): string {
  try {
    return readFileSync(file, 'utf8').split(/\r?\n/, 1)[0] ?? ''
  } catch (cause) {
    const hint = 'Check the path and that this user may read it.'
    throw new AoError('INVALID_CONFIG', 'the file with the passphrase cannot be read', { file }, { cause, hint })
  }
}

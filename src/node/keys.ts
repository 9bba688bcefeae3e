import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { AoError } from '../lib/errors.ts'
import { generateKey, type PrivateJwk, type Signer, signerFromJwk } from '../protocol/keys.ts'

/** A key file's content and what it signs with. */
export interface LoadedKey {
  readonly jwk: PrivateJwk
  readonly signer: Signer
}

/**
 * Reads a JWK file. Others' read permission is a mistake, not a warning: whoever reads the key is the node.
 *
 * @throws AoError `INVALID_CONFIG` if there is none, if it is no private key, or if others may read it.
 */
export function loadKey(file: string, hint: string): LoadedKey {
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
    const jwk = JSON.parse(readFileSync(file, 'utf8')) as PrivateJwk
    return { jwk, signer: signerFromJwk(jwk) }
  } catch (cause) {
    const reason = cause instanceof AoError ? cause.message : 'it is not JSON'
    throw new AoError('INVALID_CONFIG', `${file} is not a usable key: ${reason}`, { file }, { cause, hint })
  }
}

/** Writes a new key that only its owner may read; an existing file is left alone and loaded. */
export function createKey(file: string, kind: 'ed25519' | 'rsa'): LoadedKey {
  if (!existsSync(file)) {
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, `${JSON.stringify(generateKey(kind), undefined, 2)}\n`, { mode: 0o600, flag: 'wx' })
    chmodSync(file, 0o600)
  }
  return loadKey(file, 'Move the file away to have a new key made.')
}

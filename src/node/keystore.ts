import { createCipheriv, createDecipheriv, randomBytes, scryptSync } from 'node:crypto'
import { chmodSync, renameSync, writeFileSync } from 'node:fs'
import { fromBase64Url, toBase64Url, utf8 } from '../lib/bytes.ts'
import { AoError } from '../lib/errors.ts'
import type { Address } from '../protocol/ids.ts'
import { type PrivateJwk, signerFromJwk } from '../protocol/keys.ts'

/**
 * A private key under a passphrase: scrypt makes a key of it, AES-256-GCM keeps the JWK with that key. All but the
 * ciphertext is readable, so that a wrong passphrase is told from a damaged file by nobody.
 */
export interface Keystore {
  readonly version: 1
  /** Whose key it is: shown without the passphrase, and checked once it is open. */
  readonly address: Address
  readonly kdf: {
    readonly name: 'scrypt'
    readonly n: number
    readonly r: number
    readonly p: number
    readonly salt: string
  }
  readonly cipher: { readonly name: 'aes-256-gcm'; readonly iv: string; readonly tag: string }
  readonly ciphertext: string
}

/** 128 MiB and some half a second for each try: OWASP's least for scrypt. */
const cost = { n: 2 ** 17, r: 8, p: 1 } as const
/** A file from elsewhere must not make this node work for minutes or run out of memory. */
const maxCost = { n: 2 ** 20, r: 16, p: 4 } as const
/** Bound to the ciphertext, so that no other kind of file is taken for a key. */
const purpose = utf8('aonet keystore 1')

export const isKeystore = (content: unknown): content is Keystore =>
  typeof content === 'object' && content !== null && 'ciphertext' in content && 'kdf' in content

/** @throws AoError `INVALID_ARGUMENT` for an empty passphrase. */
export function seal(jwk: PrivateJwk, passphrase: string): Keystore {
  if (passphrase === '') throw new AoError('INVALID_ARGUMENT', 'the passphrase is empty', {}, { hint: 'Choose one.' })
  const salt = randomBytes(32)
  const iv = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', derive(passphrase, salt, cost), iv).setAAD(purpose)
  const ciphertext = Buffer.concat([cipher.update(JSON.stringify(jwk), 'utf8'), cipher.final()])
  return {
    version: 1,
    address: signerFromJwk(jwk).address,
    kdf: { name: 'scrypt', ...cost, salt: toBase64Url(salt) },
    cipher: { name: 'aes-256-gcm', iv: toBase64Url(iv), tag: toBase64Url(cipher.getAuthTag()) },
    ciphertext: toBase64Url(ciphertext),
  }
}

/** @throws AoError `UNAUTHENTICATED` if the passphrase is wrong or the file was changed, `INVALID_CONFIG` if it is no keystore. */
export function unseal(keystore: Keystore, passphrase: string): PrivateJwk {
  assertReadable(keystore)
  const { kdf, cipher, ciphertext } = keystore
  const key = derive(passphrase, fromBase64Url(kdf.salt), kdf)
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, fromBase64Url(cipher.iv), { authTagLength: 16 })
    decipher.setAAD(purpose).setAuthTag(fromBase64Url(cipher.tag))
    const text = Buffer.concat([decipher.update(fromBase64Url(ciphertext)), decipher.final()]).toString('utf8')
    return JSON.parse(text) as PrivateJwk
  } catch (cause) {
    const hint = 'Check the passphrase; it is asked for, or read from keyPassphraseFile or AONET_KEY_PASSPHRASE.'
    throw new AoError('UNAUTHENTICATED', 'the passphrase does not open the key', {}, { cause, hint })
  }
}

function assertReadable({ version, kdf, cipher }: Keystore): void {
  const { n, r, p } = kdf ?? {}
  const known = version === 1 && kdf?.name === 'scrypt' && cipher?.name === 'aes-256-gcm'
  const within = (value: unknown, max: number): boolean =>
    Number.isInteger(value) && Number(value) >= 1 && Number(value) <= max
  if (known && within(n, maxCost.n) && within(r, maxCost.r) && within(p, maxCost.p)) return
  const hint = 'Use a key file that `aonet keys` or `aonet init` wrote.'
  throw new AoError('INVALID_CONFIG', 'not a keystore that this program can open', {}, { hint })
}

const derive = (passphrase: string, salt: Uint8Array, { n, r, p }: { n: number; r: number; p: number }): Buffer =>
  // Unicode has several spellings of one text, and keyboards differ in which they give.
  scryptSync(passphrase.normalize('NFKC'), salt, 32, { N: n, r, p, maxmem: 256 * n * r })

/** Replaces a file in one step, readable by its owner only: a crash leaves the old one or the new one. */
export function writeSecret(file: string, content: unknown): void {
  const temporary = `${file}.${randomBytes(6).toString('hex')}.new`
  writeFileSync(temporary, `${JSON.stringify(content, undefined, 2)}\n`, { mode: 0o600, flag: 'wx' })
  chmodSync(temporary, 0o600)
  renameSync(temporary, file)
}

import { constants, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { fromBase64Url } from '../lib/bytes.ts'
import { AoError } from '../lib/errors.ts'
import type { Assignment } from './assignment.ts'
import { noteChecked } from './checked-items.ts'
import { buildDataItem, buildDataItemNow, type DataItem, type Draft } from './data-item.ts'
import { type Address, addressOfKey } from './ids.ts'
import { signRunsAside } from './sign-aside.ts'
import { type Run, signRun } from './signed-run.ts'

/** Makes signed items. Both kinds sign deterministically: the same draft gives the same id again after a crash. */
export interface Signer {
  readonly address: Address
  sign(draft: Draft): Promise<DataItem>
  /**
   * Signs Assignments within this program, so nobody has seen a signature until the caller shows it. For each run its
   * Assignments, or a failure and none. A signer that asks anybody else, or needs long, is without.
   */
  readonly signRuns?: ((runs: readonly Run[]) => Promise<readonly (readonly Assignment[])[]>) | undefined
}

/** A private key as JWK (RFC 7517): `kty` RSA with a 4096-bit modulus, or OKP with curve Ed25519. */
export type PrivateJwk = Readonly<Record<string, string>>

/** A new key. An RSA key takes about a second, during which nothing else runs. */
export function generateKey(kind: 'ed25519' | 'rsa'): PrivateJwk {
  const { privateKey } =
    kind === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: 4096, ...asDer })
      : generateKeyPairSync('ed25519', asDer)
  const key = createPrivateKey({ key: privateKey, format: 'der', type: 'pkcs8' })
  return key.export({ format: 'jwk' }) as PrivateJwk
}

// Not `generateKeyPairSync().privateKey.export()`: Node 20 stops for ever when the garbage collector runs inside that
// export, because it then takes the key's lock a second time to drop the finished generator. Seen within 20,000 keys.
const asDer = {
  privateKeyEncoding: { type: 'pkcs8', format: 'der', cipher: undefined, passphrase: undefined },
  publicKeyEncoding: { type: 'spki', format: 'der' },
} as const

/** @throws AoError `INVALID_ARGUMENT` unless the JWK is a private RSA-4096 or Ed25519 key. */
export function signerFromJwk(jwk: PrivateJwk): Signer {
  const privateKey = parsePrivateKey(jwk)
  return privateKey.asymmetricKeyType === 'rsa' ? rsaSigner(privateKey) : ed25519Signer(privateKey)
}

function rsaSigner(key: KeyObject): Signer {
  const ownerKey = publicBytes(key, 'n')
  // Salt length 0 makes PSS deterministic; arweave-js and arbundles accept it.
  const options = { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 0 }
  const material = {
    signatureType: 1,
    ownerKey,
    sign: (digest: Uint8Array) => sign('sha256', digest, options),
  } as const
  return { address: addressOfKey(ownerKey), sign: draft => buildDataItem(draft, material) }
}

function ed25519Signer(key: KeyObject): Signer {
  const address = addressOfKey(publicBytes(key, 'x'))
  const signNow = signWithEd25519(key)
  const now = (draft: Draft): DataItem => noteChecked(signNow(draft))
  return {
    address,
    sign: async draft => now(draft),
    signRuns: async runs => signRunsAside({ address, key }, runs) ?? Promise.all(runs.map(run => signRun(run, now))),
  }
}

/** Makes items with a private Ed25519 key, at once. */
export function signWithEd25519(key: KeyObject): (draft: Draft) => DataItem {
  const ownerKey = publicBytes(key, 'x')
  const material = { signatureType: 2, ownerKey, sign: (digest: Uint8Array) => sign(null, digest, key) } as const
  return draft => buildDataItemNow(draft, material)
}

const publicBytes = (key: KeyObject, member: 'n' | 'x'): Uint8Array =>
  fromBase64Url(String(createPublicKey(key).export({ format: 'jwk' })[member]))

function parsePrivateKey(jwk: PrivateJwk): KeyObject {
  const wrong = (cause?: unknown): AoError =>
    new AoError(
      'INVALID_ARGUMENT',
      'the wallet is not a private key this program can sign with',
      { kty: String(jwk['kty']) },
      { cause, hint: 'Use a JWK file of an Arweave wallet (RSA-4096) or of an Ed25519 key.' },
    )
  let key: KeyObject
  try {
    key = createPrivateKey({ key: jwk as Record<string, string>, format: 'jwk' })
  } catch (cause) {
    throw wrong(cause)
  }
  const rsa4096 = key.asymmetricKeyType === 'rsa' && key.asymmetricKeyDetails?.modulusLength === 4096
  if (!rsa4096 && key.asymmetricKeyType !== 'ed25519') throw wrong()
  return key
}

import { createPublicKey, type KeyObject } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { toBase64Url } from '../lib/bytes.ts'

/** Owners whose key is kept ready, at about 4 KB each. Making one costs as much as half an RSA check. */
const cachedKeys = 1024
const cache = new LRUCache<string, KeyObject>({ max: cachedKeys })

/** A 4096-bit RSA key with exponent 65537. Undefined if the bytes are no key. */
export const rsaKey = (modulus: Uint8Array): KeyObject | undefined => {
  const n = toBase64Url(modulus)
  return keyFor(n, { kty: 'RSA', n, e: 'AQAB' })
}

/** An Ed25519 key. Undefined if the bytes are no key. */
export const ed25519Key = (point: Uint8Array): KeyObject | undefined => {
  const x = toBase64Url(point)
  return keyFor(x, { kty: 'OKP', crv: 'Ed25519', x })
}

function keyFor(name: string, jwk: Readonly<Record<string, string>>): KeyObject | undefined {
  const cached = cache.get(name)
  if (cached !== undefined) return cached
  try {
    const key = createPublicKey({ key: jwk, format: 'jwk' })
    cache.set(name, key)
    return key
  } catch {
    return undefined // not a key: then it signed nothing
  }
}

import { LRUCache } from 'lru-cache'
import { asBuffer, utf8 } from '../lib/bytes.ts'
import { beginDeepHash, deepHashOn } from './deep-hash.ts'
import type { Address } from './ids.ts'
import type { SignatureType } from './signature-kinds.ts'
import { addressOf } from './signatures.ts'

/** What depends on an item's signature type and owner alone. */
export interface OwnerFacts {
  readonly address: Address
  /** The deep hash of an item as far as its owner. */
  digest(): Uint8Array
  /** The same as far as its anchor, if it has neither target nor anchor: what units sign is so. */
  bareDigest(): Uint8Array
}

/** Owners whose facts are kept, at about 1 KB each: they take a third of the hashing of a small item. */
const cachedOwners = 4096
const cache = new LRUCache<string, OwnerFacts>({ max: cachedOwners })

export function ownerFacts(type: SignatureType, ownerKey: Uint8Array): OwnerFacts {
  const name = `${type}${asBuffer(ownerKey).toString('latin1')}`
  const known = cache.get(name)
  if (known !== undefined) return known
  let digest: Uint8Array | undefined
  let bare: Uint8Array | undefined
  const key = Buffer.from(ownerKey) // not a view: it would keep the whole item
  const facts: OwnerFacts = {
    address: addressOf(type, ownerKey),
    digest: () => {
      digest ??= deepHashOn(beginDeepHash(8), [utf8('dataitem'), utf8('1'), utf8(String(type)), key])
      return digest
    },
    bareDigest: () => {
      bare ??= deepHashOn(facts.digest(), [none, none])
      return bare
    },
  }
  cache.set(name, facts)
  return facts
}

const none = new Uint8Array(0)

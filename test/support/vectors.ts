import { readFileSync } from 'node:fs'

/** An item that arbundles made, with what it says of it. Ids, owners and the like are base64url. */
export interface ItemVector {
  readonly name: string
  readonly signatureType: number
  readonly id: string
  readonly ownerKey: string
  /** By arweave-js or ethers, where they know such addresses. */
  readonly address?: string
  readonly target: string
  readonly anchor: string
  readonly tags: readonly { readonly name: string; readonly value: string }[]
  readonly data: string
  /** Hexadecimal. */
  readonly signedDigest: string
  /** Base64. */
  readonly raw: string
}

// Compiled tests lie one level deeper, under dist, and the files are not copied there.
const folder = new URL(
  import.meta.url.includes('/dist/test/') ? '../../../test/vectors/' : '../vectors/',
  import.meta.url,
)

/** A file of test/vectors. */
export const loadVectors = (file: string): unknown => JSON.parse(readFileSync(new URL(file, folder), 'utf8'))

export const itemVectors = (): readonly ItemVector[] => loadVectors('items.json') as readonly ItemVector[]

/** The bytes of the vector of that name. */
export function vectorBytes(name: string): Buffer {
  const vector = itemVectors().find(item => item.name === name)
  if (vector === undefined) throw new Error(`no vector is called ${name}`)
  return Buffer.from(vector.raw, 'base64')
}

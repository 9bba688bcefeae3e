import { createPrivateKey, sign } from 'node:crypto'
import { concat, fromBase64Url, utf8 } from '../../src/lib/bytes.ts'
import { encodeTags } from '../../src/protocol/avro-tags.ts'
import { deepHash } from '../../src/protocol/deep-hash.ts'
import { testJwk } from './builders.ts'

/** The fields of an item as raw bytes, however odd. */
export interface OddFields {
  readonly signatureType?: number
  readonly ownerKey?: Uint8Array
  /** Presence byte and field. */
  readonly target?: Uint8Array
  readonly anchor?: Uint8Array
  readonly tagCount?: bigint
  readonly tagLength?: bigint
  readonly tags?: Uint8Array
  readonly data?: Uint8Array
  /** What is signed in their place, as arbundles would read them; without the presence byte. */
  readonly signedTarget?: Uint8Array
  readonly signedAnchor?: Uint8Array
}

const jwk = testJwk('odd')
const key = createPrivateKey({ key: jwk as Record<string, string>, format: 'jwk' })
const ownOwner = fromBase64Url(jwk['x'] ?? '')
const nothing = new Uint8Array(0)
const absent = Uint8Array.of(0)

/** An Ed25519 item around odd fields, with a signature that covers them as they stand. */
export function signOddItem(fields: OddFields): Buffer {
  const { ownerKey = ownOwner, target = absent, anchor = absent, tags = nothing, data = utf8('data') } = fields
  const { signedTarget = target.subarray(1), signedAnchor = anchor.subarray(1) } = fields
  const digest = deepHash([
    utf8('dataitem'),
    utf8('1'),
    utf8(String(fields.signatureType ?? 2)),
    ownerKey,
    signedTarget,
    signedAnchor,
    tags,
    data,
  ])
  return Buffer.from(
    concat(
      Uint8Array.of((fields.signatureType ?? 2) & 0xff, (fields.signatureType ?? 2) >> 8),
      sign(null, digest, key),
      ownerKey,
      target,
      anchor,
      u64(fields.tagCount ?? 0n),
      u64(fields.tagLength ?? BigInt(tags.length)),
      tags,
      data,
    ),
  )
}

/** Avro's number: zigzag, seven bits a byte; `padding` more bytes than needed. */
export function avroLong(value: number, padding = 0): Uint8Array {
  const bytes: number[] = []
  for (let rest = value >= 0 ? value * 2 : -value * 2 - 1; ; rest = Math.floor(rest / 128)) {
    bytes.push(rest % 128)
    if (rest < 128) break
  }
  bytes.push(...Array.from({ length: padding }, () => 0))
  return Uint8Array.from(bytes.map((byte, i) => (i < bytes.length - 1 ? byte | 0x80 : byte)))
}

export const avroString = (text: string | Uint8Array, padding = 0): Uint8Array => {
  const bytes = typeof text === 'string' ? utf8(text) : text
  return concat(avroLong(bytes.length, padding), bytes)
}

/** Whether arbundles' reader of tags would go back and forth in them for ever, as a negative length makes it. */
export function trapsArbundles(tags: Uint8Array): boolean {
  let at = 0
  const long = (): number => {
    let [value, scale, byte] = [0, 1, 0]
    do {
      byte = tags[at++] ?? 0
      value += (byte & 0x7f) * scale
      scale *= 128
    } while (byte >= 0x80)
    return value % 2 === 1 ? -(value + 1) / 2 : value / 2
  }
  let steps = 0
  for (let count = long(); count !== 0; count = long()) {
    if (count < 0) long()
    for (let i = Math.abs(count) * 2; i > 0; i--) {
      const length = long()
      at += length
      if (at > tags.length) return false
      if (++steps > 10_000) return true
    }
  }
  return false
}

/** Tags as everybody writes them. */
export const plainTags = encodeTags([
  { name: 'Data-Protocol', value: 'ao' },
  { name: 'Type', value: 'Message' },
])

function u64(value: bigint): Uint8Array {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(value)
  return bytes
}

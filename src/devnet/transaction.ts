import Arweave from 'arweave'
import { generateTransactionChunks } from 'arweave/node/lib/merkle.js'
import { z } from 'zod'
import { fromBase64Url, sha256, toBase64Url } from '../lib/bytes.ts'
import { AoError } from '../lib/errors.ts'
import { addressOfKey, type Id } from '../protocol/ids.ts'
import { verifySignature } from '../protocol/signatures.ts'
import type { Tag } from '../protocol/tags.ts'
import type { NewEntry } from './records.ts'

/** A format-2 transaction whose id, signature and attached data have been checked. */
export interface VerifiedTransaction {
  readonly entry: NewEntry
  /** Undefined if it comes later, in chunks. */
  readonly data: Uint8Array | undefined
}

/** What Arweave nodes take in one body; more goes in chunks. */
export const maxDataInBody = 12 * 1024 * 1024
/** Largest data of one transaction or item: far above any AO module, and still fits in memory. */
export const maxDataBytes = 128 * 1024 * 1024
/** Names and values together, as on Arweave. */
const maxTagBytes = 2048

/**
 * Reads the JSON that arweave-js posts to `/tx`.
 *
 * @throws AoError `INVALID_ARGUMENT` (shape), `INVALID_DATA_ITEM` (id, signature, data), `TOO_LARGE`
 */
export async function verifyTransaction(json: unknown): Promise<VerifiedTransaction> {
  const shape = schema.safeParse(json)
  if (!shape.success) throw malformed(shape.error)
  const fields = shape.data
  const dataSize = Number(fields.data_size)
  if (dataSize > maxDataBytes) throw tooLarge(dataSize, maxDataBytes, 'Split the data over several transactions.')
  await checkSignature(fields)
  const data = await attachedData(fields, dataSize)
  const ownerKey = fromBase64Url(fields.owner)
  return {
    data,
    entry: {
      id: fields.id as Id,
      layer: 1,
      owner: addressOfKey(ownerKey),
      ownerKey: fields.owner,
      signature: fields.signature,
      target: fields.target,
      anchor: fields.last_tx,
      tags: fields.tags.map(tagFromWire),
      quantity: fields.quantity,
      reward: fields.reward,
      dataSize,
      dataRoot: fields.data_root,
    },
  }
}

/** The JSON of a transaction as Arweave nodes answer it: without data. Items are shown in the same shape. */
export const transactionJson = (entry: NewEntry) => ({
  format: 2,
  id: entry.id,
  last_tx: entry.anchor,
  owner: entry.ownerKey,
  tags: entry.tags.map(({ name, value }) => ({ name: base64(name), value: base64(value) })),
  target: entry.target,
  quantity: entry.quantity,
  data: '',
  data_size: String(entry.dataSize),
  data_root: entry.dataRoot,
  data_tree: [],
  reward: entry.reward,
  signature: entry.signature,
})

const isBase64Url = (text: string): boolean => toBase64Url(fromBase64Url(text)) === text
/** Canonical base64url of so many bytes, so that a value has one spelling. */
const bytes = (...lengths: readonly number[]) =>
  z
    .string()
    .max(1024)
    .refine(text => isBase64Url(text) && lengths.includes(fromBase64Url(text).length), {
      error: `must be base64url of ${lengths.join(' or ')} bytes`,
    })
const winston = z.string().regex(/^(0|[1-9][0-9]{0,25})$/, { error: 'must be a whole number of winston' })
const tagText = z.string().max(4096).refine(isBase64Url, { error: 'must be base64url' })

const schema = z.object({
  format: z.literal(2),
  id: bytes(32),
  last_tx: bytes(0, 32, 48),
  owner: bytes(512),
  tags: z.array(z.object({ name: tagText, value: tagText })).max(128),
  target: bytes(0, 32),
  quantity: winston,
  data: z.string().default(''),
  data_size: z.string().regex(/^(0|[1-9][0-9]{0,14})$/, { error: 'must be a whole number' }),
  data_root: bytes(0, 32),
  reward: winston,
  signature: bytes(512),
})
type Fields = z.infer<typeof schema>

async function checkSignature(fields: Fields): Promise<void> {
  const signature = fromBase64Url(fields.signature)
  if (toBase64Url(sha256(signature)) !== fields.id) throw refused('the id is not the hash of the signature', fields.id)
  const digest = await arweave.transactions.fromRaw({ ...fields, data: '' }).getSignatureData()
  const valid = await verifySignature(1, fromBase64Url(fields.owner), digest, signature)
  if (!valid) throw refused('the signature does not match the transaction', fields.id)
  const tagBytes = fields.tags.reduce((sum, { name, value }) => sum + sizeOf(name) + sizeOf(value), 0)
  if (tagBytes > maxTagBytes) throw refused(`the tags take more than ${maxTagBytes} bytes`, fields.id)
}

async function attachedData(fields: Fields, size: number): Promise<Uint8Array | undefined> {
  if (size > 0 && fields.data_root === '') throw refused('there is a data_size but no data_root', fields.id)
  if (fields.data === '') return size === 0 ? new Uint8Array(0) : undefined
  if (sizeOf(fields.data) > maxDataInBody) {
    throw tooLarge(sizeOf(fields.data), maxDataInBody, 'Post the transaction without data, then its chunks.')
  }
  const data = fromBase64Url(fields.data)
  if (data.length !== size) throw refused('data_size is not the length of the data', fields.id)
  const { data_root: root } = await generateTransactionChunks(data)
  if (toBase64Url(root) !== fields.data_root) throw refused('data_root is not the root of the data', fields.id)
  return data
}

/** Used for its pure functions only: it is never given an address to talk to. */
const arweave = Arweave.init({})

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const base64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64url')
const sizeOf = (base64Url: string): number => Math.floor((base64Url.length * 3) / 4)

function tagFromWire({ name, value }: { name: string; value: string }): Tag {
  try {
    return { name: strictUtf8.decode(fromBase64Url(name)), value: strictUtf8.decode(fromBase64Url(value)) }
  } catch (cause) {
    const hint = 'The devnet keeps tags as UTF-8 text.'
    throw new AoError('INVALID_DATA_ITEM', 'Transaction verification failed: a tag is not UTF-8.', {}, { cause, hint })
  }
}

/** Begins with the words that Arweave nodes answer. */
const refused = (reason: string, id: string): AoError =>
  new AoError(
    'INVALID_DATA_ITEM',
    `Transaction verification failed: ${reason}.`,
    { id },
    { hint: 'Create and sign the transaction again with arweave-js; nothing may change after signing.' },
  )

const tooLarge = (size: number, limit: number, hint: string): AoError =>
  new AoError('TOO_LARGE', 'the data is too large', { bytes: size, limit }, { hint })

function malformed(error: z.ZodError): AoError {
  const first = error.issues[0]
  const field = first?.path.join('.') ?? ''
  return new AoError(
    'INVALID_ARGUMENT',
    `not a transaction: ${field === '' ? '' : `${field}: `}${first?.message ?? 'it cannot be read'}`,
    { field },
    { hint: 'Post the JSON of a signed format-2 transaction, as arweave-js makes it.' },
  )
}

import { generateTransactionChunks, validatePath } from 'arweave/node/lib/merkle.js'
import { z } from 'zod'
import { equalBytes, fromBase64Url, sha256, toBase64Url } from '../lib/bytes.ts'
import { AoError } from '../lib/errors.ts'

/** A piece of a transaction's data, proven to belong at its place. */
export interface ProvenChunk {
  /** base64url. */
  readonly dataRoot: string
  readonly dataSize: number
  /** First byte, and the byte after the last. */
  readonly from: number
  readonly to: number
  readonly bytes: Uint8Array
}

/** Arweave's chunk size. */
const maxChunkBytes = 256 * 1024
/** 32 levels of (two hashes and an offset) and a leaf: more than any data that fits here needs. */
const maxPathBytes = 32 * 96 + 64

/**
 * Reads the JSON that arweave-js posts to `/chunk` and checks its proof.
 *
 * @throws AoError `INVALID_ARGUMENT`; the messages are the words of Arweave nodes, which arweave-js acts on.
 */
export async function proveChunk(json: unknown): Promise<ProvenChunk> {
  const shape = schema.safeParse(json)
  if (!shape.success) throw refused('invalid_json', shape.error.issues[0]?.path.join('.') ?? '')
  const { data_root: dataRoot, data_size, data_path, offset } = shape.data
  const bytes = fromBase64Url(shape.data.chunk)
  if (bytes.length > maxChunkBytes) throw refused('chunk_too_big', 'chunk')
  const path = fromBase64Url(data_path)
  const root = fromBase64Url(dataRoot)
  const dataSize = Number(data_size)
  const place = await validatePath(root, Number(offset), 0, dataSize, path)
  // A path ends in the chunk's hash and its end offset, 32 bytes each.
  const leaf = path.subarray(-64, -32)
  if (place === false || place.chunkSize !== bytes.length || !equalBytes(leaf, sha256(bytes))) {
    throw refused('invalid_proof', 'data_path')
  }
  return { dataRoot, dataSize, from: place.leftBound, to: place.rightBound, bytes }
}

/** The chunk of `data` that holds the byte at `position`, with its proof, as `/chunk/{offset}` answers. */
export async function chunkAt(
  data: Uint8Array,
  position: number,
): Promise<{ chunk: string; data_path: string; tx_path: string; packing: string }> {
  const { chunks, proofs } = await generateTransactionChunks(data)
  const index = chunks.findIndex(({ maxByteRange }) => position < maxByteRange)
  const chunk = chunks[index]
  const proof = proofs[index]
  if (chunk === undefined || proof === undefined) throw new TypeError(`no byte ${position} in ${data.length}`)
  return {
    chunk: toBase64Url(data.subarray(chunk.minByteRange, chunk.maxByteRange)),
    data_path: toBase64Url(proof.proof),
    // The devnet's blocks have no tree over their transactions.
    tx_path: '',
    packing: 'unpacked',
  }
}

const base64Url = (maxBytes: number) =>
  z
    .string()
    .max(Math.ceil((maxBytes * 4) / 3) + 4)
    .regex(/^[A-Za-z0-9_-]*$/)
const whole = z.string().regex(/^(0|[1-9][0-9]{0,14})$/)

const schema = z.object({
  data_root: base64Url(32).length(43),
  data_size: whole,
  data_path: base64Url(maxPathBytes).min(86),
  offset: whole,
  chunk: base64Url(maxChunkBytes).min(1),
})

const refused = (word: string, field: string): AoError =>
  new AoError(
    'INVALID_ARGUMENT',
    word,
    { field },
    { hint: 'Post chunks as arweave-js makes them, from exactly the data that the transaction was made for.' },
  )

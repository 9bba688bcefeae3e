import { promisify } from 'node:util'
import { brotliCompress, brotliDecompress, constants } from 'node:zlib'
import { equalBytes } from '../lib/bytes.ts'
import { type Id, idToBytes } from '../protocol/ids.ts'
import { pageHash, statePageBytes } from '../protocol/state-root.ts'
import { damaged } from './checkpoint-manifest.ts'

const compress = promisify(brotliCompress)
const decompress = promisify(brotliDecompress)

/** Level 4: within a tenth of the size of level 9 at an eighth of its time, measured on pages of aos. */
const options = {
  params: {
    [constants.BROTLI_PARAM_QUALITY]: 4,
    [constants.BROTLI_PARAM_LGWIN]: 16, // a page: nothing lies further back
    [constants.BROTLI_PARAM_SIZE_HINT]: statePageBytes,
  },
}

/** A page as it is on disk. Works on a thread of the pool that Node has for such. */
export const packPage = (page: Uint8Array): Promise<Uint8Array> => compress(page, options)

/**
 * Writes a page where it belongs.
 *
 * @param target 64 KiB.
 * @throws AoError `STORE_CORRUPT` unless it is the page of that hash.
 */
export async function unpackPage(packed: Uint8Array | undefined, hash: Id, target: Uint8Array): Promise<void> {
  if (packed === undefined) throw damaged('a page is missing')
  const page = await decompress(packed, { maxOutputLength: statePageBytes }).catch(() => undefined)
  if (page?.length !== statePageBytes || !equalBytes(pageHash(page), idToBytes(hash))) {
    throw damaged('a page is not as it was written')
  }
  target.set(page)
}

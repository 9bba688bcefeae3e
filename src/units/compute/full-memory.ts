import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { finished } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'
import { AoError } from '../../lib/errors.ts'
import type { VmImage, VmPage } from '../../ports/vm.ts'
import { idFromBytes } from '../../protocol/ids.ts'
import { pageHash, statePageBytes } from '../../protocol/state-root.ts'

/** Pages hashed and compressed between two looks at other work: a hundred megabytes of zeros are many. */
const pagesAtOnce = 16
const zeroPages = new Uint8Array(pagesAtOnce * statePageBytes)
const zeroPage = Buffer.alloc(statePageBytes)

/** The whole memory of an image, gzipped as the reference CU does, and its SHA-256. It is never in memory at once. */
export async function packMemory({ memoryBytes, pages }: VmImage): Promise<{ data: Uint8Array; sha256: string }> {
  const hash = createHash('sha256')
  const gzip = createGzip()
  const chunks: Buffer[] = []
  gzip.on('data', (chunk: Buffer) => chunks.push(chunk))
  const write = async (bytes: Uint8Array): Promise<void> => {
    hash.update(bytes)
    if (!gzip.write(bytes)) await once(gzip, 'drain')
  }
  let at = 0
  const writeZeros = async (end: number): Promise<void> => {
    while (at < end) {
      const length = Math.min(zeroPages.length, end - at)
      await write(zeroPages.subarray(0, length))
      at += length
    }
  }
  for (const { index, bytes } of pages) {
    await writeZeros(index * statePageBytes)
    await write(bytes)
    at += bytes.length
  }
  await writeZeros(memoryBytes)
  gzip.end()
  await finished(gzip)
  return { data: Buffer.concat(chunks), sha256: hash.digest('hex') }
}

/**
 * The pages that are not zero of a gzipped memory.
 *
 * @throws AoError `INVALID_RECORD` unless it is a memory of that length and hash. Stops at the first byte too many.
 */
export async function unpackMemory(
  data: Uint8Array,
  { memoryBytes, sha256 }: { readonly memoryBytes: number; readonly sha256: string },
): Promise<readonly VmPage[]> {
  const gunzip = createGunzip({ chunkSize: statePageBytes })
  const hash = createHash('sha256')
  const pages: VmPage[] = []
  let page = Buffer.alloc(statePageBytes)
  let length = 0
  gunzip.end(data)
  try {
    for await (const chunk of gunzip as AsyncIterable<Buffer>) {
      if (length + chunk.length > memoryBytes) throw broken('it is longer than it says')
      hash.update(chunk)
      for (let from = 0; from < chunk.length; ) {
        const within = length % statePageBytes
        const part = Math.min(statePageBytes - within, chunk.length - from)
        chunk.copy(page, within, from, from + part)
        from += part
        length += part
        if (length % statePageBytes !== 0 || page.equals(zeroPage)) continue
        pages.push(pageOf(length / statePageBytes - 1, page))
        page = Buffer.alloc(statePageBytes)
      }
    }
  } catch (error) {
    throw error instanceof AoError ? error : broken('it is not gzip')
  }
  if (length !== memoryBytes || hash.digest('hex') !== sha256) throw broken('it is not the memory it says')
  return pages
}

const pageOf = (index: number, page: Buffer<ArrayBuffer>): VmPage => ({
  index,
  hash: idFromBytes(pageHash(page)),
  bytes: new Uint8Array(page.buffer, page.byteOffset, page.length),
})

const broken = (what: string): AoError => new AoError('INVALID_RECORD', `the memory of a checkpoint is broken: ${what}`)

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { generateTransactionChunks } from 'arweave/node/lib/merkle.js'
import { chunkAt, proveChunk } from '../../../src/devnet/chunk-proofs.ts'

/** Bytes that repeat nowhere, the same in every run. */
const bytesOf = (length: number): Buffer => {
  const parts = Array.from({ length: Math.ceil(length / 32) }, (_, i) =>
    createHash('sha256').update(String(i)).digest(),
  )
  return Buffer.concat(parts).subarray(0, length)
}

describe('devnet/chunk-proofs', () => {
  // One chunk; a short last chunk; a last chunk that would be too short; an exact multiple.
  for (const size of [1, 300_000, 262_144 + 100, 524_288, 1_000_000])
    it(`gives back ${size} bytes chunk by chunk, each proven by its path`, async () => {
      const data = bytesOf(size)
      const { data_root } = await generateTransactionChunks(data)
      const root = Buffer.from(data_root).toString('base64url')
      let at = 0
      while (at < size) {
        const { chunk, data_path } = await chunkAt(data, at)
        const proven = await proveChunk({
          data_root: root,
          data_size: String(size),
          data_path,
          offset: String(at),
          chunk,
        })
        assert.equal(proven.from, at)
        assert.ok(data.subarray(proven.from, proven.to).equals(Buffer.from(proven.bytes)))
        at = proven.to
      }
      assert.equal(at, size)
    })

  it('refuses a chunk with any one bit turned', async () => {
    const data = bytesOf(300_000)
    const { data_root } = await generateTransactionChunks(data)
    const { chunk, data_path } = await chunkAt(data, 0)
    const good = { data_root: Buffer.from(data_root).toString('base64url'), data_size: '300000', offset: '0' }
    for (const [field, text] of Object.entries({ chunk, data_path })) {
      const bytes = Buffer.from(text, 'base64url')
      // The leaf's end offset in the last 32 bytes is covered by its hash too.
      for (const at of [0, 31, 32, Math.floor(bytes.length / 2), bytes.length - 33, bytes.length - 1]) {
        const bad = Buffer.from(bytes)
        bad.writeUInt8(bad.readUInt8(at) ^ 1, at)
        const body = { ...good, chunk, data_path, [field]: bad.toString('base64url') }
        await assert.rejects(proveChunk(body), { message: 'invalid_proof' }, `${field} at ${at}`)
      }
    }
  })
})

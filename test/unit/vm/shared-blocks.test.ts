import assert from 'node:assert/strict'
import { blockBytes, sharedBytes } from '../../../src/vm/block.ts'
import { Image } from '../../../src/vm/image.ts'
import { pageBytes } from '../../../src/vm/wasm-binary.ts'

const blocks = 24
/** Differs from block to block, and from what other tests leave behind. */
const aState = () => {
  const memory = new WebAssembly.Memory({ initial: 4 })
  const bytes = new Uint8Array(memory.buffer)
  for (let i = 0; i < blocks; i++) bytes.set(Buffer.from(`shared block ${i}`), i * blockBytes)
  return { memory, bytes, globals: [] }
}
const hashed = (state: ReturnType<typeof aState>): Image => {
  const image = new Image(state)
  assert.ok(image.root)
  return image
}

describe('vm/block', () => {
  it('holds what images have in common once, and nothing once they are gone', () => {
    const before = sharedBytes()
    const images = Array.from({ length: 20 }, () => hashed(aState()))
    assert.equal(sharedBytes() - before, blocks * blockBytes)
    const own = images.reduce((sum, image) => sum + image.ownBytes, 0)
    assert.equal(Math.round(own), blocks * blockBytes)
    for (const image of images) image.release()
    assert.equal(sharedBytes(), before)
  })

  it('gives an image that changes blocks of its own, and leaves those of the others alone', () => {
    const before = sharedBytes()
    const [one, other] = [aState(), aState()]
    const [image, kept] = [hashed(one), hashed(other)]
    const { root } = kept
    one.bytes[5 * blockBytes + 99] = 99
    one.bytes.set(Buffer.from('of its own'), 3 * pageBytes)
    image.capture(one)
    assert.notEqual(image.root, root)
    assert.equal(sharedBytes() - before, (blocks + 2) * blockBytes)

    const expected = Uint8Array.from(other.bytes)
    other.bytes.fill(7)
    kept.restore(other)
    assert.deepEqual(other.bytes, expected)
    one.bytes.fill(0)
    image.capture(one)
    assert.equal(sharedBytes() - before, blocks * blockBytes)
    image.release()
    kept.release()
    assert.equal(sharedBytes(), before)
  })
})

import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Image } from '../../../src/vm/image.ts'
import { pageBytes } from '../../../src/vm/wasm-binary.ts'

const aState = (pages = 4) => ({
  memory: new WebAssembly.Memory({ initial: pages, maximum: 64 }),
  globals: [
    { type: 'i32', global: new WebAssembly.Global({ value: 'i32', mutable: true }, 7) },
    { type: 'i64', global: new WebAssembly.Global({ value: 'i64', mutable: true }, -7n) },
    { type: 'f32', global: new WebAssembly.Global({ value: 'f32', mutable: true }, -0.5) },
    { type: 'f64', global: new WebAssembly.Global({ value: 'f64', mutable: true }, -0) },
  ] as const,
})
const bytesOf = ({ memory }: { memory: WebAssembly.Memory }): Uint8Array => new Uint8Array(memory.buffer)

const aWrite = fc.record({
  at: fc.nat(4 * pageBytes - 3000),
  length: fc.integer({ min: 1, max: 3000 }),
  value: fc.constantFrom(0, 0, 1, 255),
})

describe('vm/image', () => {
  it('restores memory and globals to what they were, whatever was written since', () => {
    fc.assert(
      fc.property(fc.array(aWrite, { maxLength: 8 }), fc.array(aWrite, { maxLength: 8 }), (before, after) => {
        const state = aState()
        for (const { at, length, value } of before) bytesOf(state).fill(value, at, at + length)
        const image = new Image(state)
        const expected = Uint8Array.from(bytesOf(state))
        for (const { at, length, value } of after) bytesOf(state).fill(value, at, at + length)
        for (const { global } of state.globals) global.value = typeof global.value === 'bigint' ? 1n << 63n : 1
        image.restore(state)
        assert.ok(Buffer.from(expected).equals(bytesOf(state)))
        assert.deepEqual(
          state.globals.map(({ global }) => global.value),
          [7, -7n, -0.5, -0],
        )
      }),
      { numRuns: 30 },
    )
  })

  it('has a root that depends on the state alone, not on how it came about', () => {
    fc.assert(
      fc.property(fc.array(fc.array(aWrite, { maxLength: 4 }), { maxLength: 5 }), steps => {
        const state = aState()
        const image = new Image(state)
        for (const writes of steps) {
          for (const { at, length, value } of writes) bytesOf(state).fill(value, at, at + length)
          image.capture(state)
          assert.equal(image.root, new Image(state).root)
        }
      }),
      { numRuns: 30 },
    )
  })

  it('knows states that come back, as marks of a garbage collector do', () => {
    const state = aState()
    const image = new Image(state)
    const looks = [1, 2, 1, 3, 1, 2, 0, 1, 0, 2, 2].map((value, step) => {
      bytesOf(state).fill(value, 5000, 70_000)
      bytesOf(state)[3 * pageBytes] = step
      image.capture(state)
      return [image.root, new Image(state).root, Uint8Array.from(bytesOf(state))] as const
    })
    for (const [root, expected] of looks) assert.equal(root, expected)
    bytesOf(state).fill(9)
    image.restore(state)
    assert.deepEqual(bytesOf(state), looks.at(-1)?.[2])
  })

  it('has another root for any other byte, global or length', () => {
    const roots = new Set([new Image(aState()).root, new Image(aState(5)).root])
    for (const at of [0, 1023, 1024, pageBytes - 1, pageBytes, 3 * pageBytes + 5]) {
      const state = aState()
      bytesOf(state)[at] = 1
      roots.add(new Image(state).root)
    }
    for (const [i, value] of [8, -8n, 0.5, 0].entries()) {
      const state = aState()
      const global = state.globals[i]?.global
      if (global !== undefined) global.value = value
      roots.add(new Image(state).root)
    }
    assert.equal(roots.size, 12)
  })

  it('has the root that its description gives', () => {
    const state = aState(2)
    bytesOf(state)[pageBytes + 4096] = 9
    assert.equal(new Image(state).root, '2PIPDjRkX4DYMNF5nP4HF-HW1EJYXl1cWIPO6JRKsNs')
  })

  it('does not fit a memory of another length', () => {
    const image = new Image(aState(4))
    assert.throws(() => image.restore(aState(5)), TypeError)
  })
})

import assert from 'node:assert/strict'
import { echoFormat } from '../../../src/modules/echo/echo.ts'
import type { VmImage } from '../../../src/ports/vm.ts'
import { idFromBytes, idToBytes } from '../../../src/protocol/ids.ts'
import { pageHash, stateRootOf } from '../../../src/protocol/state-root.ts'
import { LiveProcess } from '../../../src/vm/live-process.ts'
import { wasmVm } from '../../../src/vm/wasm-vm.ts'
import { environmentOf, idOf, mebibytes, messageOf } from '../../support/modules/process.ts'
import { compileWat } from '../../support/modules/wat.ts'

const limits = { memoryBytes: mebibytes(4), gas: 100_000_000n }
const process = idOf('process')

/** Counts in a global only it sees, writes the count far up in a memory that grows, and answers with it. */
const counter = `(module
  (memory (export "memory") 2)
  (global $n (mut i64) (i64.const 40))
  (global $x (mut f64) (f64.const -0.0))
  (data (i32.const 16) "{\\"ok\\":true,\\"response\\":{\\"Output\\":00}}")
  (data (i32.const 70000) "overwritten by the first message")
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "handle") (param i32 i32) (result i64) (local $at i32)
    (global.set $n (i64.add (global.get $n) (i64.const 1)))
    (memory.fill (i32.const 70000) (i32.const 0) (i32.const 64))
    (if (i64.eq (global.get $n) (i64.const 43)) (then (drop (memory.grow (i32.const 3)))))
    (local.set $at (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 8)))
    (i64.store (local.get $at) (global.get $n))
    (i32.store8 (i32.const 48) (i32.add (i32.const 48) (i32.wrap_i64 (i64.div_u (global.get $n) (i64.const 10)))))
    (i32.store8 (i32.const 49) (i32.add (i32.const 48) (i32.wrap_i64 (i64.rem_u (global.get $n) (i64.const 10)))))
    (i64.const ${(16n << 32n) | 36n})))`

describe('vm: snapshots', () => {
  const open = async (image?: VmImage) =>
    LiveProcess.open(wasmVm.prepare(await compileWat(counter), echoFormat, limits), {
      environment: environmentOf(process),
      gas: limits.gas,
      image,
    })
  const run = async (live: LiveProcess, from: number, to: number) => {
    const steps = []
    for (let nonce = from; nonce <= to; nonce++) steps.push(await live.handle(messageOf(process, nonce)))
    return steps
  }

  it('goes on from a snapshot as the instance that never stopped: results, gas, roots and counts', async () => {
    const live = await open()
    const all = await run(live, 0, 6)
    assert.deepEqual(
      all.map(({ evaluation }) => evaluation.output),
      [41, 42, 43, 44, 45, 46, 47],
    )
    for (const stop of [0, 1, 2, 3, 5]) {
      const first = await open()
      await run(first, 0, stop)
      const restored = await open(structuredClone(await first.snapshot()))
      assert.deepEqual(await run(restored, stop + 1, 6), all.slice(stop + 1), `after message ${stop}`)
    }
  })

  it('holds the root of its own state, and pages by their hash', async () => {
    const live = await open()
    const [first] = await run(live, 0, 0)
    assert.equal((await live.snapshot()).stateRoot, first?.stateRoot) // a root is due after nonce 0
    await run(live, 1, 2)
    const image = await live.snapshot()
    assert.equal(image.applied, 3)
    for (const { bytes, hash } of image.pages) assert.equal(idFromBytes(pageHash(bytes)), hash)
    const pages = image.pages.map(({ index, hash }) => [index, idToBytes(hash)] as const)
    assert.equal(stateRootOf({ ...image, pages }), image.stateRoot)
    await run(live, 3, 3)
    assert.notEqual((await live.snapshot()).stateRoot, image.stateRoot)
  })

  it('refuses a snapshot of another module, and one that is not what it says', async () => {
    const live = await open()
    await run(live, 0, 1)
    const image = await live.snapshot()
    const [page] = image.pages
    assert.ok(page)
    const bent = { ...page, bytes: Uint8Array.from(page.bytes).fill(7, 100, 101) }
    const lies: readonly Partial<VmImage>[] = [
      { globals: [] },
      { globals: [41n, 0n] },
      { memoryBytes: image.memoryBytes + 65_536 },
      { pages: [bent, ...image.pages.slice(1)] },
      { pages: [...image.pages, { ...page, index: 99 }] },
      { memoryBytes: 65_536 },
      { counters: {} },
    ]
    for (const lie of lies) await assert.rejects(open({ ...image, ...lie }), { code: 'STORE_CORRUPT' })
    await open(image)
  })
})

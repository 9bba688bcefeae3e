import { AoError } from '../lib/errors.ts'
import { pageBytes, unsupported } from './wasm-binary.ts'

/** Largest memory of a Process, whatever its limit says: Node 20 has no view of more bytes than this. */
export const maxMemoryBytes = 2 ** 32 - pageBytes

/** @throws AoError `UNSUPPORTED_MODULE` if the engine does not accept the bytes. */
export function compile(bytes: Uint8Array): WebAssembly.Module {
  try {
    return new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>)
  } catch (error) {
    if (error instanceof WebAssembly.CompileError) throw unsupported('the bytes are not a valid Wasm module')
    throw error
  }
}

/** @throws AoError `UNSUPPORTED_MODULE` if the module is at fault, `NOT_READY` if this host is. */
export function instantiate(module: WebAssembly.Module, imports: WebAssembly.Imports): WebAssembly.Instance {
  try {
    return new WebAssembly.Instance(module, imports)
  } catch (error) {
    if (error instanceof RangeError) throw hostExhausted(error)
    throw unsupported('the module cannot start: its imports or data do not fit', {})
  }
}

/**
 * Grows a memory to `memoryBytes`, a whole number of pages; does nothing if it is as long already.
 *
 * @throws AoError `NOT_READY` if the host has no more.
 */
export function growMemory(memory: WebAssembly.Memory, memoryBytes: number): void {
  const pages = (memoryBytes - memory.buffer.byteLength) / pageBytes
  if (pages <= 0) return
  try {
    growBy(memory, pages)
  } catch (error) {
    throw hostExhausted(error)
  }
}

const hostExhausted = (cause: unknown): AoError =>
  new AoError('NOT_READY', 'this host has no memory left for the Process', {}, { cause })

/** A 64-bit memory takes a number of pages in older engines and a bigint in newer ones. */
function growBy(memory: WebAssembly.Memory, pages: number): void {
  try {
    memory.grow(pages)
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    const wide = memory as unknown as { grow(pages: bigint): bigint }
    wide.grow(BigInt(pages))
  }
}

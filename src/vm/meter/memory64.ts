import { setFlagsFromString } from 'node:v8'

// A module with nothing but a memory of 64-bit addresses.
const wideMemory = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 5, 3, 1, 4, 1)

/**
 * Makes this thread take wasm64 modules: newer Nodes do so by themselves, Node 20 behind a flag that must be set before
 * the first module is compiled. Says whether it worked.
 */
export function enableMemory64(): boolean {
  if (!WebAssembly.validate(wideMemory)) setFlagsFromString('--experimental-wasm-memory64')
  return WebAssembly.validate(wideMemory)
}

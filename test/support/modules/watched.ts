import { createHash } from 'node:crypto'
import type { Machine, PreparedModule } from '../../../src/vm/machine.ts'
import { pageBytes } from '../../../src/vm/wasm-binary.ts'

/** The pages of a memory that are not zero: index and SHA-256. */
export type Pages = readonly (readonly [index: number, sha256: string])[]

export function pagesOf(memory: Uint8Array): Pages {
  const pages: [number, string][] = []
  const zeros = Buffer.alloc(pageBytes)
  for (let at = 0; at < memory.length; at += pageBytes) {
    const page = memory.subarray(at, at + pageBytes)
    if (!zeros.equals(page)) pages.push([at / pageBytes, createHash('sha256').update(page).digest('hex')])
  }
  return pages
}

/** The same module, and a look into the memory of the machine it started last. */
export function watched(module: PreparedModule): { readonly module: PreparedModule; pages(): Pages } {
  let machine: Machine | undefined
  return {
    module: {
      ...module,
      instantiate: async (...setup) => {
        machine = await module.instantiate(...setup)
        return machine
      },
    },
    pages: () => (machine === undefined ? [] : pagesOf(new Uint8Array(machine.memory.buffer))),
  }
}

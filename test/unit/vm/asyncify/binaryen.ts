import { createRequire } from 'node:module'

interface BinaryenModule {
  runPasses(passes: readonly string[]): void
  optimize(): void
  emitBinary(): Uint8Array
  dispose(): void
}
export interface Binaryen {
  readBinary(bytes: Uint8Array): BinaryenModule
}

/** The compiler library behind AssemblyScript: its pass `asyncify` is what emscripten runs. */
export async function loadBinaryen(): Promise<Binaryen> {
  const path = createRequire(import.meta.resolve('assemblyscript')).resolve('binaryen')
  return ((await import(path)) as { readonly default: Binaryen }).default
}

/** The module as asyncify leaves it, and as compilers optimize it then, which gives conditions other shapes. */
export function asyncified(binaryen: Binaryen, bytes: Uint8Array): readonly Uint8Array[] {
  const module = binaryen.readBinary(bytes)
  try {
    module.runPasses(['asyncify'])
    const first = module.emitBinary()
    module.optimize()
    return [first, module.emitBinary()]
  } finally {
    module.dispose()
  }
}

import wabt from 'wabt'

/** Wasm from its text form. */
export async function compileWat(text: string): Promise<Uint8Array> {
  const module = (await wabt()).parseWat('test.wat', text, { simd: true, mutable_globals: true, bulk_memory: true })
  try {
    return Uint8Array.from(module.toBinary({}).buffer)
  } finally {
    module.destroy()
  }
}

/** Emscripten modules, aos among them: what `@permaweb/ao-loader` runs without metering. */
export const aosFormats = [
  'wasm32-unknown-emscripten',
  'wasm32-unknown-emscripten2',
  'wasm32-unknown-emscripten3',
  'wasm32-unknown-emscripten4',
  'wasm64-unknown-emscripten-draft_2024_02_15',
] as const

/** Plain Wasm with two functions: `wasm-vm.ts` describes it. */
export const plainFormats = ['ao-abi-1'] as const

/** Every Module-Format this node evaluates. */
export const vmFormats: readonly string[] = [...aosFormats, ...plainFormats]

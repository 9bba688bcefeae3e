/** Emscripten modules, aos among them. Those ending in `-metering` pay ao's own gas prices, all others `gas-1`. */
export const aosFormats = [
  'wasm32-unknown-emscripten',
  'wasm32-unknown-emscripten2',
  'wasm32-unknown-emscripten3',
  'wasm32-unknown-emscripten4',
  'wasm64-unknown-emscripten-draft_2024_02_15',
  'wasm32-unknown-emscripten-metering',
  'wasm64-unknown-emscripten-draft_2024_02_15-metering',
] as const

/** Plain Wasm with two functions: `wasm-vm.ts` describes it. */
export const plainFormats = ['ao-abi-1'] as const

/** JavaScript: `quickjs-vm.ts` describes it. */
export const quickJsFormats = ['js-quickjs-1'] as const

/** Every Module-Format this node evaluates. */
export const vmFormats: readonly string[] = [...aosFormats, ...plainFormats, ...quickJsFormats]

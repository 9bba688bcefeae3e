import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { sha256 } from '../lib/bytes.ts'
import { AoError } from '../lib/errors.ts'
import { rootRules } from '../protocol/root-rule.ts'
import { compile } from './engine.ts'
import { meterModule } from './meter/meter.ts'
import { gas1Prices } from './meter/prices.ts'
import type { MeteredFiles } from './metered-files.ts'
import type { MeteredModule } from './metered-module.ts'

/**
 * The one build of QuickJS that `js-quickjs-1` means, `@jitl/quickjs-wasmfile-release-sync` 0.32.0. Another build gives
 * other gas and other pointers, hence another format. Its names are minified, so those below hold for this digest only.
 */
const engineSha256 = '105c3bed22d457e43e3d1c3c1c6959fda62a8fe06f0fc8a985303c3a2be72232'
const engineFile = '@jitl/quickjs-wasmfile-release-sync/wasm'

const exportNames = {
  constructors: 'u',
  malloc: 'v',
  setMemoryLimit: 'y',
  setMaxStackSize: 'D',
  getUndefined: 'E',
  newRuntime: 'K',
  free: 'M',
  newContext: 'N',
  freeValue: 'P',
  freeCString: 'S',
  newString: '_',
  getString: '$',
  call: 'ma',
  resolveException: 'na',
  evaluate: 'pa',
} as const

/** The functions of QuickJS that we call. They take and give pointers and sizes. */
export type QuickJs = { readonly [Name in keyof typeof exportNames]: (...values: number[]) => number }

export const quickJsOf = (exports: WebAssembly.Exports): QuickJs =>
  Object.fromEntries(Object.entries(exportNames).map(([name, letter]) => [name, exports[letter]])) as QuickJs

/** What its memory must begin with, and may grow to at the most, in pages of 64 KiB. */
export const enginePages = { initial: 256, maximum: 32_768 } as const

let engine: MeteredModule | undefined

/**
 * QuickJS, metered and compiled: some 30 ms for the first call of a thread unless it is kept, nothing after that.
 *
 * @throws AoError `NOT_READY` if the package is missing or is another build.
 */
export function quickJsEngine(kept?: MeteredFiles): MeteredModule {
  engine ??= load(kept)
  return engine
}

function load(kept: MeteredFiles | undefined): MeteredModule {
  const bytes = readEngine()
  const found = Buffer.from(sha256(bytes)).toString('hex')
  if (found !== engineSha256) throw noEngine('the QuickJS that is installed is another build', { found })
  const meter = () => meterModule(bytes, { prices: gas1Prices, strict: true })
  const { bytes: metered, shape, exportsAdded } = kept?.of(bytes, `${gas1Prices.identity} quickjs`, meter) ?? meter()
  return {
    module: compile(metered),
    rootRule: rootRules['gas-1'],
    shape,
    gasExport: exportsAdded.gas,
    depthExport: exportsAdded.depth,
  }
}

function readEngine(): Uint8Array {
  try {
    return readFileSync(createRequire(import.meta.url).resolve(engineFile))
  } catch (cause) {
    throw noEngine('QuickJS is not installed here', {}, cause)
  }
}

const noEngine = (message: string, facts: Record<string, string>, cause?: unknown): AoError =>
  new AoError(
    'NOT_READY',
    message,
    { wanted: engineSha256, ...facts },
    { cause, hint: 'Install the packages of package-lock.json anew: npm ci.' },
  )

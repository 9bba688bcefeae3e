import { AoError } from '../lib/errors.ts'
import { type RootRule, rootRules } from '../protocol/root-rule.ts'
import { compile } from './engine.ts'
import type { StateGlobal, TrapWord } from './machine.ts'
import { meterModule } from './meter/meter.ts'
import type { ModuleShape } from './meter/module-shape.ts'
import { trapWords } from './meter/outcome.ts'
import { gas1Prices, legacyPrices } from './meter/prices.ts'
import type { MeteredFiles } from './metered-files.ts'
import { capMemory, pageBytes, unsupported } from './wasm-binary.ts'

/** A module that pays for its work, counts how deep it calls, and shows all of its state. */
export interface MeteredModule {
  readonly module: WebAssembly.Module
  readonly rootRule: RootRule
  /** Of the module as it was published. */
  readonly shape: ModuleShape
  readonly gasExport: string
  readonly depthExport: string
}

/** Formats whose gas is counted with the prices of `@permaweb/wasm-metering`, number for number. */
export const isLegacyMetering = (format: string): boolean => format.endsWith('-metering')

export interface PrepareOptions {
  readonly format: string
  /** Of the memory. */
  readonly limitBytes: number
  /** What is done before metering; the format alone tells how. */
  readonly reduce?: ((bytes: Uint8Array) => Uint8Array) | undefined
  readonly kept?: MeteredFiles | undefined
}

/**
 * Injects gas and depth, lowers the memory's maximum to the limit, and compiles.
 *
 * @throws AoError `UNSUPPORTED_MODULE` naming the rule that the bytes break.
 */
export function prepareMetered(bytes: Uint8Array, { format, limitBytes, reduce, kept }: PrepareOptions): MeteredModule {
  const prices = isLegacyMetering(format) ? legacyPrices : gas1Prices
  const maxInitialPages = Math.floor(limitBytes / pageBytes)
  const meter = () => meterModule(reduce?.(bytes) ?? bytes, { prices, strict: true, maxInitialPages })
  const { bytes: metered, shape, exportsAdded } = kept?.of(bytes, `${prices.identity} ${format}`, meter) ?? meter()
  if (shape.memory === undefined || shape.memory.imported) throw unsupported('a module must have one memory of its own')
  const module = compile(capMemory(metered, shape.memory, limitBytes))
  return {
    module,
    rootRule: rootRules[prices.identity],
    shape,
    gasExport: exportsAdded.gas,
    depthExport: exportsAdded.depth,
  }
}

/** The meter of one running instance. */
export class GasMeter {
  readonly #gas: WebAssembly.Global
  readonly #depth: WebAssembly.Global
  #limit = 0n

  constructor(exports: WebAssembly.Exports, { gasExport, depthExport }: MeteredModule) {
    this.#gas = exports[gasExport] as WebAssembly.Global
    this.#depth = exports[depthExport] as WebAssembly.Global
  }

  /** Before each call into the instance. */
  fill(limit: bigint): void {
    this.#limit = limit
    this.#gas.value = limit
    this.#depth.value = 0
  }

  /** Since `fill`; the limit once it is spent, however far the last run of code went beyond. */
  get used(): bigint {
    const left = this.#gas.value as bigint
    return left < 0n ? this.#limit : this.#limit - left
  }

  get spent(): boolean {
    return (this.#gas.value as bigint) < 0n
  }

  /**
   * Names a trap. `memoryRefused`: the module asked for more memory than its limit before it gave up.
   *
   * @throws AoError `NOT_READY` if it was the host's stack that ended, which says nothing about the Process.
   */
  trapWord(thrown: unknown, memoryRefused: boolean): TrapWord {
    const word = trapWords({ gas: this.#gas.value as bigint, depth: Number(this.#depth.value) })
    if (word !== 'trap') return word
    if (thrown instanceof RangeError && thrown.message.includes('call stack')) {
      throw new AoError('NOT_READY', 'the stack of this host is too small for the Process', {}, { cause: thrown })
    }
    return memoryRefused ? 'out of memory' : 'trap'
  }
}

/** The mutable globals of an instance, in the order of their indices: with the memory they are all its state. */
export const stateGlobals = (exports: WebAssembly.Exports, { mutableGlobals }: ModuleShape): readonly StateGlobal[] =>
  mutableGlobals.map(({ exportName, type }) => ({ type, global: exports[exportName] as WebAssembly.Global }))

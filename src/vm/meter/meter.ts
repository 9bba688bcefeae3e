import { moduleLimits } from './limits.ts'
import { type MeteredModule, ModuleRewriter } from './module-rewriter.ts'
import type { PriceTable } from './prices.ts'
import { refusal } from './refusal.ts'

/**
 * How deep calls may nest, in words of stack. A host must give 32 bytes of native stack for each, so 4 MiB: the stack
 * limit of the host differs between machines and compilers, and must never be what ends a call.
 */
export const defaultMaxDepthWords = 131_072

/** Gas that a start function may use: it runs before the host can set the global. */
export const startGas = 1_000_000_000

export interface MeterOptions {
  readonly prices: PriceTable
  readonly maxDepthWords?: number
  /** Refuse modules that change tables or drop segments, because such state is not saved. Default: false. */
  readonly strict?: boolean
  /** Largest initial memory in pages of 64 KiB. */
  readonly maxInitialPages?: number
}

/**
 * The same module, but it pays for its work, counts how deep it calls, shows its mutable globals, and makes no NaN
 * whose bits depend on the machine. Equal bytes and options give equal bytes on every host.
 *
 * The host sets the gas global and zeroes the depth global before each call; `trapWords` in `outcome.ts` reads them
 * after a trap. Evaluate in a worker with at least 4 MiB of stack. Takes some 25 ns a byte, 20 ms for aos.
 *
 * @throws AoError `UNSUPPORTED_MODULE`; `facts.reason` is a `RefusalReason`.
 */
export function meterModule(bytes: Uint8Array, options: MeterOptions): MeteredModule {
  const { maxDepthWords = defaultMaxDepthWords, maxInitialPages = moduleLimits.initialPages } = options
  if (!Number.isInteger(maxDepthWords) || maxDepthWords < 1 || maxDepthWords > 2 ** 24) {
    throw new TypeError('maxDepthWords must be a whole number from 1 to 2^24')
  }
  if (bytes.length > moduleLimits.moduleBytes) {
    throw refusal('too-big', 'the module is too big', { bytes: bytes.length, limit: moduleLimits.moduleBytes })
  }
  // First, because an invalid module could name the globals that exist only after metering.
  if (!isValid(bytes)) throw refusal('invalid', 'the bytes are not a valid WebAssembly module')
  const { prices, strict = false } = options
  return new ModuleRewriter(bytes, { prices, maxDepthWords, strict, maxInitialPages, startGas }).rewrite()
}

export type { MeteredModule }

export const isValid = (bytes: Uint8Array): boolean => WebAssembly.validate(bytes as Uint8Array<ArrayBuffer>)

import { AoError } from '../../lib/errors.ts'

/** Why a module is refused; `facts.reason` of the error. Permanent words: people search for them. */
export type RefusalReason =
  | 'invalid'
  | 'too-big'
  | 'initial-memory'
  | 'reserved-export'
  | 'relaxed-simd'
  | 'threads'
  | 'gc'
  | 'exnref'
  | 'typed-references'
  | 'multi-memory'
  | 'table64'
  | 'custom-page-size'
  | 'extended-const'
  | 'mutable-global'
  | 'table-change'
  | 'segment-drop'
  | 'unknown-type'
  | 'unknown-section'
  | 'unknown-opcode'

/** The error that says why a module cannot be metered, and so cannot be evaluated alike on every node. */
export function refusal(reason: RefusalReason, message: string, facts: Record<string, string | number> = {}): AoError {
  return new AoError('UNSUPPORTED_MODULE', message, { reason, ...facts }, { hint: hints[reason] })
}

const compileFor = (what: string): string => `Compile the module without ${what}.`

const hints: Readonly<Record<RefusalReason, string>> = {
  invalid:
    'Check the file with a WebAssembly validator; wasm64 modules need memory64 enabled before the first compile.',
  'too-big': 'Make the module smaller: split large functions, strip custom sections, or publish data apart from code.',
  'initial-memory': 'Lower the initial memory of the module and let it grow when needed.',
  'reserved-export': 'Rename the export: names beginning with __gas, __depth and __global_ belong to the meter.',
  'relaxed-simd': compileFor('relaxed SIMD: its results differ between machines'),
  threads: compileFor('threads, atomics and shared memory: their order is not deterministic'),
  gc: compileFor('garbage-collected types'),
  exnref: compileFor('try_table and throw_ref; the older try/catch instructions are metered'),
  'typed-references': compileFor('typed function references'),
  'multi-memory': 'Link the module into a single memory.',
  table64: compileFor('64-bit tables'),
  'custom-page-size': compileFor('custom page sizes'),
  'extended-const': compileFor('extended constant expressions'),
  'mutable-global': 'Keep state in memory or in mutable globals of type i32, i64, f32 or f64, so that it can be saved.',
  'table-change': compileFor('table.set, grow, fill, copy and init: tables are not part of saved state'),
  'segment-drop': compileFor('data.drop and elem.drop: dropped segments are not part of saved state'),
  'unknown-type': compileFor('value types newer than WebAssembly 2.0'),
  'unknown-section': compileFor('sections newer than WebAssembly 2.0'),
  'unknown-opcode': compileFor('instructions newer than WebAssembly 2.0, tail calls and SIMD excepted'),
}

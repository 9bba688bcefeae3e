import type { SeededRandom } from './random.ts'

/** The same bytes but for a few, behind a Wasm module's preamble. Half of the results differ in one bit. */
export function mutateBytes(bytes: Uint8Array, random: SeededRandom): Uint8Array {
  const list = [...bytes]
  for (let changes = random.below(2) === 0 ? 1 : 1 + random.below(4); changes > 0; changes--) {
    const at = 8 + random.below(Math.max(1, list.length - 8))
    const kind = random.below(10)
    if (kind === 0) list.splice(at, 1 + random.below(4))
    else if (kind === 1) list.splice(at, 0, random.below(256))
    else if (kind === 2) list.splice(at, 0, ...list.slice(at, at + random.below(12)))
    else if (kind === 3) list.splice(at, 0, 0xff, 0xff, 0xff, 0xff, 0x0f)
    else if (kind === 4) list[at] = random.below(256)
    else list[at] = (list[at] ?? 0) ^ (1 << random.below(8))
  }
  return Uint8Array.from(list)
}

const fragments = [
  ...['(', ')', '{', '}', '[', ']', ';', '=>', '`', "'", '/', '*', '!', '.', '...', '=', ' in ', ' of '],
  ...['for(;;);', 'while(true)', 'throw ', 'await ', 'import("x")', 'return ', 'null', 'undefined', '1e9', '-1n', '\0'],
  ...[
    'new Array(1e9)',
    '"x".repeat(1e9)',
    'eval',
    'Function',
    'this',
    'globalThis',
    'delete ',
    'super',
    '\\u0000',
    '\ud800',
  ],
  ...['Object.prototype.toJSON = ', 'Array.prototype.map = null;', 'JSON = 0;', 'msg = null;', 'handle = 3;'],
]

/** The same text with a few pieces missing, doubled, or put in from elsewhere. */
export function mutateText(text: string, random: SeededRandom): string {
  let mutant = text
  for (let changes = 1 + random.below(3); changes > 0; changes--) {
    const at = random.below(mutant.length + 1)
    const length = random.below(12)
    const kind = random.below(4)
    const put = kind === 0 ? '' : kind === 1 ? mutant.slice(at, at + length).repeat(2) : random.pick(fragments)
    mutant = mutant.slice(0, at) + put + mutant.slice(kind === 2 ? at : at + length)
  }
  return mutant
}

import { AoError } from '../lib/errors.ts'

/** Armstrongs: 10^-12 AO. A bigint, because 21 million AO pass 2^64. */
export type Quantity = bigint

/** Armstrongs in one AO. */
export const oneAo: Quantity = 10n ** 12n
export const basisPoints = 10_000n

/** At most 39 digits: any amount that can exist, with room, and no more work than that. */
const quantityPattern = /^(0|[1-9][0-9]{0,38})$/

/** Armstrongs as they stand in a tag: decimal digits, no sign, no point, no leading zero. @throws AoError `INVALID_ARGUMENT` */
export function parseQuantity(text: string | undefined, what = 'Quantity'): Quantity {
  if (text === undefined || !quantityPattern.test(text)) {
    throw new AoError(
      'INVALID_ARGUMENT',
      `${what} is not a whole number of armstrongs`,
      { [what]: (text ?? '').slice(0, 48) },
      { hint: 'Give decimal digits without sign, point or leading zero; 1 AO is 1000000000000.' },
    )
  }
  return BigInt(text)
}

/** As `parseQuantity`, and more than nothing. */
export function parsePositive(text: string | undefined, what = 'Quantity'): Quantity {
  const quantity = parseQuantity(text, what)
  if (quantity === 0n) throw new AoError('INVALID_ARGUMENT', `${what} must be more than 0`)
  return quantity
}

/** `1.5` AO → armstrongs. At most 12 decimals. @throws AoError `INVALID_ARGUMENT` */
export function parseAo(text: string): Quantity {
  const [, whole, fraction = ''] = /^(0|[1-9][0-9]{0,7})(?:\.([0-9]{1,12}))?$/.exec(text) ?? []
  if (whole === undefined) {
    throw new AoError(
      'INVALID_ARGUMENT',
      'the amount is not a number of AO',
      { amount: text.slice(0, 32) },
      { hint: 'Write it like 250 or 0.5, with at most 12 decimals.' },
    )
  }
  return BigInt(whole) * oneAo + BigInt(fraction.padEnd(12, '0'))
}

/** Armstrongs → AO, exact, without trailing zeros: `1.5`. */
export function formatAo(quantity: Quantity): string {
  const sign = quantity < 0n ? '-' : ''
  const size = quantity < 0n ? -quantity : quantity
  const fraction = String(size % oneAo)
    .padStart(12, '0')
    .replace(/0+$/, '')
  return `${sign}${size / oneAo}${fraction === '' ? '' : `.${fraction}`}`
}

/** An amount as people read it in an error. */
export const inAo = (quantity: Quantity): string => `${formatAo(quantity)} AO`

export const minOf = (a: Quantity, b: Quantity): Quantity => (a < b ? a : b)
export const maxOf = (a: Quantity, b: Quantity): Quantity => (a > b ? a : b)
export const bpsOf = (quantity: Quantity, bps: bigint): Quantity => (quantity * bps) / basisPoints

/**
 * Cuts `amount` out of `parts` in proportion to their size, rounded down; what rounding leaves comes out of the last.
 *
 * Invariant: the cuts add up to `amount` and none is larger than its part, for 0 <= amount <= sum of the parts. Where
 * the last is too small for what rounding leaves, those before it give it, last first.
 */
export function cutProRata(amount: Quantity, parts: readonly Quantity[]): readonly Quantity[] {
  const total = parts.reduce((sum, part) => sum + part, 0n)
  if (total === 0n) return parts.map(() => 0n)
  const cuts = parts.map(part => (amount * part) / total)
  let left = amount - cuts.reduce((sum, cut) => sum + cut, 0n)
  for (let i = parts.length - 1; i >= 0 && left > 0n; i--) {
    const more = minOf(left, (parts[i] ?? 0n) - (cuts[i] ?? 0n))
    cuts[i] = (cuts[i] ?? 0n) + more
    left -= more
  }
  return cuts
}

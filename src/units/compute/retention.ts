import type { Nonce } from '../../protocol/ids.ts'

/** So many of the newest are kept whatever their distance: the next ones in line if the newest turns out damaged. */
const recent = 3
/** Beyond those, one for each factor of distance from the newest. */
const factor = 8

/**
 * Which checkpoints of a Process to keep: some of the newest, and ever sparser ones into the past, so that their number
 * grows with the logarithm of the schedule.
 *
 * Of those at a like distance the oldest stays: it is the first to reach the next distance, which so never runs dry.
 *
 * @param nonces newest first.
 */
export function keepSpaced(nonces: readonly Nonce[]): readonly Nonce[] {
  const newest = nonces[0] ?? 0
  const kept = new Map<number, Nonce>()
  for (const nonce of nonces.slice(recent)) kept.set(Math.floor(Math.log(newest - nonce) / Math.log(factor)), nonce)
  return [...nonces.slice(0, recent), ...kept.values()]
}

/** When the disk is full of checkpoints: only the newest. */
export const keepNewest = (nonces: readonly Nonce[]): readonly Nonce[] => nonces.slice(0, 1)

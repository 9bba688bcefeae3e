/** What two ways of doing the same cost, measured in turns so that a busy machine slows both alike. */
export interface Comparison {
  /** Operations a second, medians over the rounds. */
  readonly ours: number
  readonly stock: number
  /** How many times faster ours is: the median of the rounds' own ratios. */
  readonly ratioToStock: number
}

/** @param roundMs how long each side runs in a round. */
export async function compare(
  ours: () => Promise<unknown>,
  stock: () => Promise<unknown>,
  { rounds = 9, roundMs = 250 }: { rounds?: number; roundMs?: number } = {},
): Promise<Comparison> {
  await perSecond(ours, roundMs)
  await perSecond(stock, roundMs)
  const pairs: { ours: number; stock: number }[] = []
  for (let i = 0; i < rounds; i++) {
    pairs.push({ ours: await perSecond(ours, roundMs), stock: await perSecond(stock, roundMs) })
  }
  return {
    ours: Math.round(median(pairs.map(pair => pair.ours))),
    stock: Math.round(median(pairs.map(pair => pair.stock))),
    ratioToStock: Number(median(pairs.map(pair => pair.ours / pair.stock)).toFixed(2)),
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? Number.NaN
}

async function perSecond(operation: () => Promise<unknown>, ms: number): Promise<number> {
  const start = performance.now()
  let count = 0
  while (performance.now() - start < ms) {
    await operation()
    count++
  }
  return (count * 1000) / (performance.now() - start)
}

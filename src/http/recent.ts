import type { Clock } from '../lib/clock.ts'

/** Asks at most once in `ms`: whoever comes in between gets the answer of before. A failure is not kept. */
export function recent<T>(ask: () => Promise<T>, { ms, clock }: { readonly ms: number; readonly clock: Clock }) {
  let kept: { readonly at: number; readonly answer: Promise<T> } | undefined
  return (): Promise<T> => {
    const now = clock.now()
    if (kept !== undefined && now - kept.at < ms) return kept.answer
    const answer = ask()
    const asked = { at: now, answer }
    kept = asked
    answer.catch(() => {
      if (kept === asked) kept = undefined
    })
    return answer
  }
}

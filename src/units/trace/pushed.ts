import type { Computed, Ordered, TraceStage } from '../../ports/trace.ts'
import type { CrankPart, CrankProgress } from '../../ports/units.ts'
import type { Address } from '../../protocol/ids.ts'

/** What several MUs say of one outbox, as one list: for each part the word of whoever came furthest with it. */
export function mergedParts(jobs: readonly CrankProgress[]): readonly CrankPart[] {
  const merged: CrankPart[] = []
  for (const { parts } of jobs) {
    for (const [index, part] of parts.entries()) {
      const known = merged[index]
      if (known === undefined || rank(part) > rank(known)) merged[index] = part
    }
  }
  return merged
}

/** Pushed beats handed over: the other MU has the last word. One that failed may have been for another MU to push. */
function rank({ state, handedTo }: CrankPart): number {
  if (state === 'pushed') return handedTo === undefined ? 4 : 2
  return state === 'failed' ? 1 : 3
}

interface Before {
  readonly ordered: TraceStage<Ordered>
  readonly computed: { readonly stage: TraceStage<Computed>; readonly parts: number | undefined }
}

/** Whether all that a message sends is on its way, and if not, why. */
export function pushedStage(
  { process, message }: Pick<CrankProgress, 'process' | 'message'>,
  jobs: ReadonlyMap<Address, CrankProgress>,
  { ordered, computed }: Before,
): TraceStage {
  const parts = mergedParts([...jobs.values()])
  const all = [...jobs]
  if (jobs.size === 0) {
    if (computed.parts === 0) return { state: 'done' }
    if (ordered.state !== 'done') return { state: 'waiting', reason: 'it is not ordered' }
    const what = computed.parts === undefined ? 'whether it sends anything' : `pushing its ${computed.parts} parts`
    const reason = `no MU that answers knows of ${what}. Have one push it: aonet crank ${process} ${message}`
    return { state: 'unknown', reason }
  }
  const open = all.find(([, { state }]) => state !== 'done' && state !== 'failed')
  if (open !== undefined) {
    const [messenger, { state, attempts, reason }] = open
    const why = reason ?? (state === 'queued' ? 'it waits for the result' : 'it is under way')
    return { state: 'waiting', reason: `at the MU ${messenger}, after ${attempts} failed attempts: ${why}` }
  }
  const failed = parts.filter(({ state }) => state !== 'pushed').length
  if (failed === 0 && (parts.length > 0 || all.some(([, { state }]) => state === 'done'))) return { state: 'done' }
  const [messenger, job] = all.find(([, { state }]) => state === 'failed') ?? all[0] ?? []
  return { state: 'failed', reason: `at the MU ${messenger}: ${job?.reason ?? `${failed} parts failed`}` }
}

import type { Trace, TracedMessage, TraceProblem, TraceStage } from '../../ports/trace.ts'

/** Every place where something waits or failed, in the order of the tree. */
export function problemsOf({ root, also }: Pick<Trace, 'root' | 'also'>): readonly TraceProblem[] {
  const problems: TraceProblem[] = []
  const visit = (traced: TracedMessage): void => {
    const { process, message } = traced
    const note = (stage: TraceProblem['stage'], { state, reason }: { state: TraceProblem['state']; reason: string }) =>
      problems.push({ process, message, stage, state, reason })
    for (const stage of ['ordered', 'computed', 'settled', 'pushed'] as const) {
      const found: TraceStage = traced[stage]
      if (found.state === 'done' || (stage === 'settled' && found.state === 'waiting')) continue
      // What is not ordered cannot be further: one line says all.
      if (stage !== 'ordered' && traced.ordered.state !== 'done') continue
      note(stage, found)
    }
    for (const { state, reason = 'not pushed yet', target, child } of traced.parts) {
      if (state !== 'pushed') note('part', { state, reason: `to ${target || 'a new Process'}: ${reason}` })
      if (child !== undefined) visit(child)
    }
  }
  for (const traced of [root, ...also]) visit(traced)
  return problems
}

import type { Trace, TracedMessage, TracedPart, TraceStage } from '../ports/trace.ts'

/** A trace for people: the tree of messages, and below it every place where something waits or failed. */
export function traceText(trace: Trace): string {
  const { root, also, problems, silent, messages, cut } = trace
  const lines = [
    ...messageLines(root, ''),
    ...also.flatMap(traced => ['', 'also in this conversation:', ...messageLines(traced, '')]),
    '',
    ...silent.map(({ messenger, reason }) => `! the MU ${messenger} could not be asked: ${reason}`),
    ...(cut ? [`! there is more: only ${messages} messages were looked at; trace one further down`] : []),
    ...problems.map(({ process, message, stage, state, reason }) => {
      const what = stage === 'part' ? 'a part of the outbox' : stage
      return `! ${state}: ${what} of ${message} in ${process}\n    ${reason}`
    }),
  ]
  const clear = problems.length === 0 && silent.length === 0 && !cut
  if (clear)
    lines.push(`all ${messages} ${messages === 1 ? 'message is' : 'messages are'} ordered, computed and pushed`)
  return lines.join('\n')
}

function messageLines(traced: TracedMessage, indent: string): readonly string[] {
  const { process, message, signer, action, ordered, computed, settled, pushed, messengers, parts } = traced
  const facts = [
    `${action === undefined ? message : `${message} (${action})`} in ${process}`,
    ...(signer === undefined ? [] : [`✔ accepted  signed by ${signer}`]),
    stageLine(ordered, 'ordered', ({ nonce, scheduler, timestamp, blockHeight }) => {
      return `nonce ${nonce} at ${timeText(timestamp)}, block ${blockHeight}, by SU ${scheduler}`
    }),
    stageLine(computed, 'computed', ({ compute, stateRoot, error }) => {
      const outcome = error === undefined ? `state ${stateRoot}` : `error "${error}", state as before`
      return `by CU ${compute}: ${outcome}`
    }),
    stageLine(pushed, 'pushed', () => pushedText(messengers, parts)),
    stageLine(settled, 'settled', ({ bundle, blockHeight, confirmations }) => {
      return `bundle ${bundle} in block ${blockHeight}, ${confirmations} confirmations`
    }),
  ]
  return [...facts.map(line => `${indent}${line}`), ...parts.flatMap((part, i) => partLines(part, i, `${indent}  `))]
}

function stageLine<T extends object>(
  stage: TraceStage<T>,
  name: string,
  done: (stage: { readonly state: 'done' } & T) => string,
): string {
  if (stage.state === 'done') return `✔ ${name.padEnd(9)} ${done(stage)}`
  return `${marks[stage.state]} ${name.padEnd(9)} ${stage.state}: ${stage.reason}`
}

function pushedText(messengers: TracedMessage['messengers'], parts: TracedMessage['parts']): string {
  if (parts.length === 0) return 'it sends nothing'
  const by = messengers.map(({ messenger, at }) => `MU ${messenger} at ${timeText(at)}`).join(', ')
  return `${parts.length} ${parts.length === 1 ? 'part' : 'parts'} by ${by}`
}

function partLines({ kind, target, state, reason, child }: TracedPart, index: number, indent: string): string[] {
  const note = reason === undefined ? '' : `: ${reason}`
  const line = `${indent}└ ${index}. ${kind} → ${target || '(a new Process)'} ${state}${note}`
  return child === undefined ? [line] : [line, ...messageLines(child, `${indent}  `)]
}

const marks = { waiting: '…', failed: '✘', unknown: '?' } as const

const timeText = (ms: number): string => new Date(ms).toISOString().replace('T', ' ')

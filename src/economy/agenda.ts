import type { AgendaRow } from './rows.ts'
import type { EconomyState } from './state.ts'

/** What one message carries out at the most, so that its gas is bounded; the rest waits for the next. */
export const maxDuePerEvent = 16

/** Notes what is to happen by itself at a height. */
export function schedule(state: EconomyState, row: AgendaRow): void {
  const number = state.counter.value
  state.counter.value = number + 1
  state.agenda.set(String(number).padStart(12, '0'), row)
  if (row.height < state.nextDue.value) state.nextDue.value = row.height
}

/** Takes what is due off the agenda, by height and then in the order in which it was noted. */
export function takeDue(state: EconomyState): readonly AgendaRow[] {
  const { height } = state.clock.value
  if (height < state.nextDue.value) return []
  const due = [...state.agenda.entries()]
    .filter(([, row]) => row.height <= height)
    .sort(([aKey, a], [bKey, b]) => a.height - b.height || (aKey < bKey ? -1 : 1))
    .slice(0, maxDuePerEvent)
  for (const [key] of due) state.agenda.delete(key)
  let next = Number.MAX_SAFE_INTEGER
  for (const [, row] of state.agenda.entries()) next = Math.min(next, row.height)
  state.nextDue.value = next
  return due.map(([, row]) => row)
}

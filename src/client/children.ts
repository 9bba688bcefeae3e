import type { CrankProgress } from '../ports/units.ts'
import type { MessageId, ProcessId } from '../protocol/ids.ts'

type At = Pick<CrankProgress, 'process' | 'message'>

/** Where a message was sent from: its parent, and which part of the parent's outbox it is. */
interface Cause {
  readonly parent: string
  readonly index: number
  /** Of a part that is assigned to several Processes, in their order. */
  readonly processes: readonly string[]
}

/**
 * Gathers what a message set off. News comes in the order in which MUs have it; `list` gives it in the order of cause:
 * a parent before its children, those of one outbox in the outbox's order. What no outbox names (news of a spawned
 * Process) comes behind those of equal depth, by nonce.
 */
export class Children {
  readonly #root: string
  readonly #newest = new Map<string, CrankProgress>()
  readonly #causes = new Map<MessageId, Cause>()

  constructor(root: At) {
    this.#root = keyOf(root)
  }

  /** Takes the newest state of one message. */
  add(step: CrankProgress): void {
    const parent = keyOf(step)
    this.#newest.set(parent, step)
    // Several MUs may tell of one outbox, each of the parts that it pushed: every cause seen is kept.
    for (const [index, { message, target }] of step.parts.entries()) {
      if (message !== undefined) this.#causes.set(message, { parent, index, processes: target.split(' ') })
    }
  }

  /** The root itself left out. */
  list(): readonly CrankProgress[] {
    const steps = [...this.#newest].filter(([key]) => key !== this.#root).map(([, step]) => step)
    const places = new Map<string, number>([[this.#root, 0]])
    const ordered: CrankProgress[] = []
    for (const depth of [...new Set(steps.map(step => step.depth))].sort((a, b) => a - b)) {
      const level = steps
        .filter(step => step.depth === depth)
        .map(step => ({ step, rank: this.#rankOf(step, places) }))
        .sort((a, b) => compare(a.rank, b.rank))
      for (const { step } of level) places.set(keyOf(step), ordered.push(step))
    }
    return ordered
  }

  #rankOf(step: CrankProgress, places: ReadonlyMap<string, number>): Rank {
    const cause = this.#causes.get(step.message)
    const place = cause === undefined ? undefined : places.get(cause.parent)
    if (cause === undefined || place === undefined) return [last, 0, 0, step.nonce, step.process]
    const among = cause.processes.indexOf(step.process)
    return [place, cause.index, among < 0 ? last : among, step.nonce, step.process]
  }
}

/** Parent's place, part of its outbox, place among the Processes of that part, nonce, Process. */
type Rank = readonly [number, number, number, number, ProcessId]

const last = Number.POSITIVE_INFINITY

function compare(a: Rank, b: Rank): number {
  for (const [i, left] of a.entries()) {
    const right = b[i] as typeof left
    if (left !== right) return left < right ? -1 : 1
  }
  return 0
}

/** A message may be assigned to several Processes. */
const keyOf = ({ process, message }: At): string => `${process} ${message}`

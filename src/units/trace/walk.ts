import { throwIfAborted, withDeadline } from '../../lib/abort.ts'
import { hasCode } from '../../lib/errors.ts'
import type { Trace, TracedMessage, TracedPart } from '../../ports/trace.ts'
import type { CrankPart, CrankProgress, Messenger } from '../../ports/units.ts'
import type { Address, MessageId, ProcessId } from '../../protocol/ids.ts'
import { tagValue } from '../../protocol/tags.ts'
import { reasonOf } from '../failure.ts'
import type { TraceDeps, TraceOptions } from './deps.ts'
import { mergedParts, pushedStage } from './pushed.ts'
import { Stages } from './stages.ts'

type At = Pick<CrankProgress, 'process' | 'message'>
type Filled<T> = { -readonly [K in keyof T]: T[K] }
interface Visit {
  readonly at: At
  /** Takes the finished message to its place in the tree. */
  readonly place: (traced: TracedMessage) => void
}

/** One trace: goes from a message to what it set off, level by level, and asks each MU at most once about each message. */
export class TraceWalk {
  readonly #deps: TraceDeps
  readonly #options: TraceOptions
  readonly #signal: AbortSignal
  readonly #stages: Stages
  /** (process, message) → who pushes it, as each MU says. */
  readonly #jobs = new Map<string, Map<Address, CrankProgress>>()
  readonly #asked = new Set<string>()
  readonly #visited = new Set<string>()
  readonly #silent = new Map<Address, string>()
  #cut = false

  constructor(deps: TraceDeps, options: TraceOptions, signal: AbortSignal) {
    this.#deps = deps
    this.#options = options
    this.#signal = signal
    this.#stages = new Stages(deps, options)
  }

  async from(start: At): Promise<Omit<Trace, 'problems'>> {
    const { directory } = this.#deps
    const known = directory.find('MU').slice(0, this.#options.maxMessengers)
    await Promise.all(known.map(({ address }) => this.#ask(address, start)))
    const also: TracedMessage[] = []
    const roots: TracedMessage[] = []
    await this.#walk([{ at: start, place: traced => roots.push(traced) }])
    // The start of a conversation shows all of it, also what is no part of any outbox.
    const isRoot = this.#jobsOf(start).some(({ depth }) => depth === 0)
    const rest = isRoot ? [...this.#jobs.values()].flatMap(jobs => [...jobs.values()].slice(0, 1)) : []
    await this.#walk(rest.map(at => ({ at, place: traced => also.push(traced) })))
    const [root] = roots as [TracedMessage]
    const silent = [...this.#silent].map(([messenger, reason]) => ({ messenger, reason }))
    return { root, also, silent, messages: this.#visited.size, cut: this.#cut }
  }

  async #walk(first: readonly Visit[]): Promise<void> {
    for (let level = first; level.length > 0; ) {
      const next: Visit[] = []
      const fresh = level.filter(({ at }) => this.#enters(at))
      for (let i = 0; i < fresh.length; i += this.#options.atOnce) {
        throwIfAborted(this.#signal)
        const visits = fresh.slice(i, i + this.#options.atOnce)
        const below = await Promise.all(visits.map(visit => this.#visit(visit)))
        next.push(...below.flat())
      }
      level = next
    }
  }

  /** Each message once, and no more than the limit. */
  #enters(at: At): boolean {
    const key = keyOf(at)
    if (this.#visited.has(key)) return false
    if (this.#visited.size >= this.#options.maxMessages) {
      this.#cut = true
      return false
    }
    this.#visited.add(key)
    return true
  }

  /** Gives what is to be visited below it. */
  async #visit({ at, place }: Visit): Promise<readonly Visit[]> {
    const signal = this.#signal
    await this.#askHandovers(at)
    const jobs = this.#jobs.get(keyOf(at)) ?? new Map<Address, CrankProgress>()
    const pin = [...jobs.values()].find(({ result }) => result !== undefined)?.result
    const { ordered, message } = await this.#stages.ordered(at, { signal })
    const [computed, settled] = await Promise.all([
      this.#stages.computed(at, ordered, { pin, signal }),
      this.#stages.settled(at, ordered, { signal }),
    ])
    const merged = mergedParts([...jobs.values()])
    const parts = merged.map((part): Filled<TracedPart> => tracedPart(part))
    const action = message === undefined ? undefined : tagValue(message.tags, 'Action')
    place({
      ...at,
      ...(message === undefined ? {} : { signer: message.owner }),
      ...(action === undefined ? {} : { action }),
      ...{ ordered, computed: computed.stage, settled, parts },
      pushed: pushedStage(at, jobs, { ordered, computed }),
      messengers: [...jobs].map(([messenger, { state, attempts, depth, at: when, reason }]) => ({
        ...{ messenger, state, attempts, depth, at: when, reason },
      })),
    })
    return merged.flatMap((part, i) => {
      const below = childOf(part)
      const own = parts[i]
      return below === undefined || own === undefined
        ? []
        : [{ at: below, place: (child: TracedMessage) => void Object.assign(own, { child }) }]
    })
  }

  #jobsOf(at: At): readonly CrankProgress[] {
    return [...(this.#jobs.get(keyOf(at))?.values() ?? [])]
  }

  /** An MU that a part was handed to knows more of it, and may have handed on in turn. */
  async #askHandovers(at: At): Promise<void> {
    for (;;) {
      const named = this.#jobsOf(at).flatMap(({ parts }) => parts.map(({ handedTo }) => handedTo))
      const fresh = [...new Set(named)].filter(
        (mu): mu is Address => mu !== undefined && !this.#asked.has(`${mu} ${keyOf(at)}`),
      )
      if (fresh.length === 0) return
      await Promise.all(fresh.map(mu => this.#ask(mu, at)))
    }
  }

  /** What an MU says of all that the message's root set off. */
  async #ask(address: Address, at: At): Promise<void> {
    this.#asked.add(`${address} ${keyOf(at)}`)
    try {
      const signal = withDeadline(this.#options.askMs, { signal: this.#signal })
      const rows = this.#messenger(address)?.follow(at.process, at.message, { ownOnly: true, once: true, signal }) ?? []
      for await (const job of rows) {
        const jobs = this.#jobs.get(keyOf(job)) ?? new Map<Address, CrankProgress>()
        this.#jobs.set(keyOf(job), jobs.set(address, job))
        this.#asked.add(`${address} ${keyOf(job)}`)
      }
    } catch (error) {
      throwIfAborted(this.#signal)
      if (!hasCode(error, 'UNKNOWN_MESSAGE')) this.#silent.set(address, reasonOf(error))
    }
  }

  #messenger(address: Address): Messenger | undefined {
    const { local, directory, remote } = this.#deps
    if (address === local.address && local.messenger !== undefined) return local.messenger
    const record = directory.get(address)
    if (record === undefined) this.#silent.set(address, 'it is not known here')
    return record === undefined ? undefined : remote.messenger(record)
  }
}

const tracedPart = ({ kind, target, state, reason }: CrankPart): TracedPart => ({
  ...{ kind, target, state },
  ...(reason === undefined ? {} : { reason }),
})

/** Where a pushed part stands in a schedule. */
function childOf({ state, message, nonce, target }: CrankPart): At | undefined {
  if (state !== 'pushed' || message === undefined || nonce === undefined) return undefined
  return { process: target as ProcessId, message: message as MessageId }
}

const keyOf = ({ process, message }: At): string => `${process} ${message}`

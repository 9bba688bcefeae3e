import { type AbortOptions, following, throwIfAborted } from '../../lib/abort.ts'
import { AoError, hasCode, retryAdvice } from '../../lib/errors.ts'
import type { PeerDirectory } from '../../ports/peers.ts'
import type { Address } from '../../protocol/ids.ts'
import type { UnitRole } from '../../protocol/unit-record.ts'
import type { Hedge } from './hedge.ts'

/** One unit that could answer. `local` ones are not in the directory's ranking. */
export interface Candidate<T> {
  readonly address: Address
  readonly unit: T
  readonly local: boolean
}

export interface AskOptions extends AbortOptions {
  readonly role: UnitRole
  readonly directory: PeerDirectory
  /** For questions that may be asked twice: when to ask the next unit beside one that is slow. */
  readonly hedge?: Hedge | undefined
}

/**
 * Asks one candidate after the other until one answers. Goes on only after a failure that another unit might not
 * have (`elsewhere`, `back-off`) and only while the caller waits; tells the directory how each call went.
 *
 * @param call Its signal fires also when another unit has answered first.
 * @throws AoError the first candidate's failure, or `PEER_UNREACHABLE` if there is no candidate at all.
 */
export async function firstAnswer<T, R>(
  candidates: readonly Candidate<T>[],
  call: (candidate: Candidate<T>, options: AbortOptions) => Promise<R>,
  { role, directory, signal, hedge }: AskOptions,
): Promise<R> {
  const { own, release } = following(signal)
  const asking = new Asking(call, { directory, hedge, signal: own.signal })
  try {
    for (const [i, candidate] of candidates.entries()) {
      throwIfAborted(signal)
      const next = candidates[i + 1]
      if (!asking.has(candidate)) asking.begin(candidate)
      if (next !== undefined && !next.local && !candidate.local && (await asking.isSlow()))
        asking.begin(next, { beside: true })
      const outcome = await asking.outcome()
      if (outcome !== undefined) return outcome.answer
    }
    throw asking.firstFailure ?? nobody(role)
  } finally {
    release()
    if (asking.isRunning) own.abort(new AoError('ABORTED', 'another unit has answered first'))
  }
}

/** The calls of one question that are under way. */
class Asking<T, R> {
  readonly #call: (candidate: Candidate<T>, options: AbortOptions) => Promise<R>
  readonly #directory: PeerDirectory
  readonly #hedge: Hedge | undefined
  /** Fires when the question is over. */
  readonly #signal: AbortSignal
  readonly #asked = new Set<Candidate<T>>()
  readonly #running = new Set<Promise<void>>()
  #answered: { readonly answer: R } | undefined
  /** A failure that no other unit would mend. */
  #refused: { readonly failure: unknown } | undefined
  firstFailure: unknown

  constructor(
    call: (candidate: Candidate<T>, options: AbortOptions) => Promise<R>,
    { directory, hedge, signal }: Pick<AskOptions, 'directory' | 'hedge'> & { readonly signal: AbortSignal },
  ) {
    this.#call = call
    this.#directory = directory
    this.#hedge = hedge
    this.#signal = signal
  }

  get isRunning(): boolean {
    return this.#running.size > 0
  }

  has(candidate: Candidate<T>): boolean {
    return this.#asked.has(candidate)
  }

  /** @param how.beside Beside another call: then no failure of it ends the question. */
  begin(candidate: Candidate<T>, { beside = false } = {}): void {
    this.#asked.add(candidate)
    const running: Promise<void> = this.#ask(candidate, beside).finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  /** Whether what is under way takes so long that a second unit is to be asked. */
  async isSlow(): Promise<boolean> {
    const afterMs = this.#hedge?.afterMs
    if (afterMs === undefined || this.#running.size !== 1) return false
    let late: NodeJS.Timeout | undefined
    const slow = new Promise<boolean>(resolve => {
      late = setTimeout(() => resolve(true), afterMs)
    })
    const over = Promise.race(this.#running).then(() => false)
    const isSlow = await Promise.race([slow, over]).finally(() => clearTimeout(late))
    return isSlow && this.#hedge?.take() === true
  }

  /** The first answer of the calls under way; undefined if all failed as another unit might not. @throws any other failure */
  async outcome(): Promise<{ readonly answer: R } | undefined> {
    while (this.#answered === undefined && this.#refused === undefined && this.#running.size > 0) {
      await Promise.race(this.#running)
    }
    if (this.#answered === undefined && this.#refused !== undefined) throw this.#refused.failure
    return this.#answered
  }

  async #ask(candidate: Candidate<T>, beside: boolean): Promise<void> {
    const signal = this.#signal
    const began = performance.now()
    try {
      const answer = await this.#call(candidate, { signal })
      this.#answered ??= { answer }
      if (candidate.local) return
      this.#directory.report(candidate.address, 'ok')
      this.#hedge?.answered(performance.now() - began)
    } catch (error) {
      if (signal.aborted) {
        this.#refused ??= { failure: AoError.from(signal.reason) }
        return
      }
      if (!candidate.local && isUnitsFault(error)) this.#directory.report(candidate.address, 'failed', error)
      if (!mayWorkElsewhere(error) && !beside) this.#refused ??= { failure: error }
      this.firstFailure ??= error
    }
  }
}

const nobody = (role: UnitRole): AoError =>
  new AoError(
    'PEER_UNREACHABLE',
    'no unit of this role is known',
    { role },
    { hint: `Start a node with the role ${role}, or wait until one has joined.` },
  )

const mayWorkElsewhere = (error: unknown): boolean => {
  const advice = retryAdvice(error)
  return advice === 'elsewhere' || advice === 'back-off'
}

/** Being asked for what does not exist, or for what it does not offer, is no unit's fault. */
export const isUnitsFault = (error: unknown): boolean =>
  mayWorkElsewhere(error) && !hasCode(error, 'WRONG_UNIT', 'UNSUPPORTED_MODULE')

import { type AbortOptions, throwIfAborted, withDeadline } from '../../lib/abort.ts'
import { hasCode } from '../../lib/errors.ts'
import type { Computed, Ordered, Settled, TraceStage } from '../../ports/trace.ts'
import type { CrankProgress, PinnedResult } from '../../ports/units.ts'
import { parseAttestation } from '../../protocol/attestation.ts'
import { type DataItem, parseStoredItem } from '../../protocol/data-item.ts'
import type { Id, Nonce, ProcessId } from '../../protocol/ids.ts'
import { outboxSize } from '../../protocol/result.ts'
import { reasonOf } from '../failure.ts'
import type { TraceDeps, TraceOptions } from './deps.ts'

type At = Pick<CrankProgress, 'process' | 'message'>
type Undone = Exclude<TraceStage, { state: 'done' }>

/** Asks whoever is responsible for each stage of one message. What they cannot say is a stage too, with its reason. */
export class Stages {
  readonly #deps: TraceDeps
  readonly #options: TraceOptions

  constructor(deps: TraceDeps, options: TraceOptions) {
    this.#deps = deps
    this.#options = options
  }

  /** And the message itself, if the SU has it. */
  async ordered(
    { process, message }: At,
    options: AbortOptions,
  ): Promise<{ readonly ordered: TraceStage<Ordered>; readonly message?: DataItem | undefined }> {
    const { scheduler } = this.#deps
    const waiting = 'the SU of this Process does not know it: it was never accepted. Send it again'
    try {
      const signal = this.#deadline(options)
      const assignment = await scheduler.assignment(process, message, { signal })
      const { id, nonce, timestamp, blockHeight } = assignment
      const ordered = {
        ...({ state: 'done', assignment: id, nonce, timestamp, blockHeight } as const),
        scheduler: assignment.scheduler,
      }
      return {
        ordered,
        message: await this.#message(process, nonce, { signal }),
      }
    } catch (error) {
      return { ordered: undone(error, options, { UNKNOWN_MESSAGE: waiting }) }
    }
  }

  async #message(process: ProcessId, nonce: Nonce, options: AbortOptions): Promise<DataItem | undefined> {
    try {
      for await (const row of this.#deps.scheduler.read(process, { from: nonce, to: nonce }, options)) {
        return row.message
      }
    } catch (error) {
      if (!hasCode(error, 'UNSUPPORTED')) throw error // of another network: only the Assignment is to be had
    }
    return undefined
  }

  /** @param options.pin what an MU was told: then no CU is asked again. */
  async computed(
    { process }: At,
    ordered: TraceStage<Ordered>,
    { pin, ...options }: AbortOptions & { readonly pin: PinnedResult | undefined },
  ): Promise<{ readonly stage: TraceStage<Computed>; readonly parts: number | undefined }> {
    if (pin !== undefined) return { stage: doneBy(pin), parts: undefined }
    if (ordered.state !== 'done') return { stage: notOrdered, parts: undefined }
    try {
      const answer = await this.#deps.compute.result(process, ordered.nonce, { signal: this.#deadline(options) })
      const { compute } = parseAttestation(parseStoredItem(answer.attestation))
      const { stateRoot, error, outbox } = answer.result
      return { stage: doneBy({ compute, stateRoot, error }), parts: outboxSize(outbox) }
    } catch (error) {
      const slow = `no result within ${this.#options.askMs / 1000} s: the CU may have a long schedule to catch up with`
      return { stage: undone(error, options, { DEADLINE: slow }), parts: undefined }
    }
  }

  async settled(_at: At, ordered: TraceStage<Ordered>, options: AbortOptions): Promise<TraceStage<Settled>> {
    const { arweave } = this.#deps
    if (ordered.state !== 'done') return notOrdered
    try {
      const signal = this.#deadline(options)
      // The Assignment is always new to Arweave; the message may have been there before.
      const bundle = await arweave.bundleOf(ordered.assignment as Id, { signal })
      if (bundle === undefined) return { state: 'waiting', reason: 'its SU has not put it on Arweave yet' }
      const status = await arweave.status(bundle, { signal })
      if (typeof status === 'object') return { state: 'done', bundle, ...status }
      return { state: 'waiting', reason: `the bundle ${bundle} waits for a block` }
    } catch (error) {
      return undone(error, options)
    }
  }

  #deadline({ signal }: AbortOptions): AbortSignal {
    return withDeadline(this.#options.askMs, { signal })
  }
}

const notOrdered = { state: 'waiting', reason: 'it is not ordered' } as const

const doneBy = ({ compute, stateRoot, error }: Omit<PinnedResult, 'outboxRoot'>): TraceStage<Computed> => ({
  ...({ state: 'done', compute, stateRoot } as const),
  ...(error === undefined ? {} : { error }),
})

/** Codes with a known meaning here are waits; everything else is something we could not find out. */
function undone(
  error: unknown,
  { signal }: AbortOptions,
  waits: Partial<Record<'UNKNOWN_MESSAGE' | 'DEADLINE', string>> = {},
): Undone {
  throwIfAborted(signal)
  for (const code of ['UNKNOWN_MESSAGE', 'DEADLINE'] as const) {
    const reason = waits[code]
    if (reason !== undefined && hasCode(error, code)) return { state: 'waiting', reason }
  }
  return { state: 'unknown', reason: reasonOf(error) }
}

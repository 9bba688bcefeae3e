import { type AbortOptions, withDeadline } from '../../lib/abort.ts'
import { AoError } from '../../lib/errors.ts'
import type { Trace, Tracer } from '../../ports/trace.ts'
import type { MessageId, Nonce, ProcessId } from '../../protocol/ids.ts'
import type { TraceDeps, TraceOptions } from './deps.ts'
import { problemsOf } from './problems.ts'
import { TraceWalk } from './walk.ts'

export const defaultTraceOptions: TraceOptions = {
  maxMessages: 500,
  atOnce: 16,
  maxMessengers: 32,
  askMs: 5_000,
  traceMs: 60_000,
  maxTraces: 16,
}

/** Puts together what SUs, CUs, MUs and Arweave say about one message and everything it set off. Changes nothing. */
export class UnitTracer implements Tracer {
  readonly #deps: TraceDeps
  readonly #options: TraceOptions
  #running = 0

  constructor(deps: TraceDeps, options: TraceOptions = defaultTraceOptions) {
    this.#deps = deps
    this.#options = options
  }

  /** @throws AoError `OVERLOADED` when too many traces run, `UNKNOWN_PROCESS`, `DEADLINE` */
  async trace(process: ProcessId, at: MessageId | Nonce, options: AbortOptions = {}): Promise<Trace> {
    const { maxTraces, traceMs } = this.#options
    if (this.#running >= maxTraces) {
      const hint = 'Ask again in a moment, or another node.'
      throw new AoError('OVERLOADED', 'too many messages are being traced', { running: this.#running }, { hint })
    }
    this.#running++
    try {
      const signal = withDeadline(traceMs, options)
      await this.#deps.scheduler.process(process, { signal })
      const message = await this.#idOf(process, at, { signal })
      const walk = new TraceWalk(this.#deps, this.#options, signal)
      const found = await walk.from({ process, message })
      return { ...found, problems: problemsOf(found) }
    } finally {
      this.#running--
    }
  }

  async #idOf(process: ProcessId, at: MessageId | Nonce, options: AbortOptions): Promise<MessageId> {
    return typeof at === 'number' ? (await this.#deps.scheduler.assignment(process, at, options)).message : at
  }
}

import type { AbortOptions } from '../../lib/abort.ts'
import { AoError } from '../../lib/errors.ts'
import type { DryRunMessage, MemoryDump, StateOptions } from '../../ports/units.ts'
import type { VmImage } from '../../ports/vm.ts'
import type { Nonce, ProcessId } from '../../protocol/ids.ts'
import type { Evaluation } from '../../protocol/result.ts'
import type { Routes } from '../routing/route.ts'
import type { Dumps } from './dumps.ts'
import type { Ask, Live } from './live.ts'
import { toDryRunMessage } from './messages.ts'
import type { Past } from './past.ts'

export interface LooksDeps {
  readonly routes: Pick<Routes, 'scheduler'>
  readonly past: Past
  readonly dumps: Dumps
  /** Asks the live instance once it has applied that nonce. */
  readonly look: <T>(process: ProcessId, nonce: Nonce, options: AbortOptions, ask: Ask<T>) => Promise<T>
  /** Resolves when the cron messages up to now are applied. */
  readonly reachNow: (process: ProcessId, options: AbortOptions) => Promise<void>
}

/** What is asked of a state and changes nothing: dry-runs and memories, of the newest state or of an older one. */
export class Looks {
  readonly #deps: LooksDeps

  constructor(deps: LooksDeps) {
    this.#deps = deps
  }

  async dryRun(process: ProcessId, message: DryRunMessage, options: StateOptions): Promise<Evaluation> {
    const { past, look } = this.#deps
    const { signal, to } = options
    const ask: Ask<Evaluation> = (live, at) => live.vm.dryRun(toDryRunMessage(process, message, at), { signal })
    if (to !== undefined) return past.look(process, to, options, ask)
    return look(process, await this.#newest(process, options), options, ask)
  }

  memory(process: ProcessId, options: StateOptions): Promise<MemoryDump> {
    const { past, look, reachNow, dumps } = this.#deps
    const { signal, to } = options
    const ask: Ask<{ image: VmImage; live: Live }> = live => imageOf(live, { signal })
    const take = async (): Promise<{ image: VmImage; live: Live }> => {
      if (to !== undefined) return past.look(process, to, options, ask)
      const nonce = await this.#newest(process, options)
      await reachNow(process, options) // cron messages change it too
      return look(process, nonce, options, ask)
    }
    return dumps.open(take, signal)
  }

  async #newest(process: ProcessId, options: AbortOptions): Promise<Nonce> {
    const scheduler = await this.#deps.routes.scheduler(process, options)
    return (await scheduler.assignment(process, 'newest', options)).nonce
  }
}

/** A copy of the state, and where it stands. */
async function imageOf(live: Live, options: AbortOptions): Promise<{ image: VmImage; live: Live }> {
  const place = { ...live }
  const image = await live.vm.snapshot(options)
  if (image.applied !== place.applied) throw new AoError('NOT_READY', 'messages are under way')
  return { image, live: place }
}

import { LRUCache } from 'lru-cache'
import type { AbortOptions } from '../../lib/abort.ts'
import { AoError } from '../../lib/errors.ts'
import type { DataItem } from '../../protocol/data-item.ts'
import type { Address, ProcessId } from '../../protocol/ids.ts'
import { parseAoItem, parseProcessSpec } from '../../protocol/message.ts'
import { type Origin, originOf } from '../../protocol/origin.ts'
import { assertCanBegin, settlementDepthOf } from './assignable.ts'
import type { OwnTurn } from './own-turn.ts'
import { unknownProcess } from './refusals.ts'
import type { SchedulerUnitDeps } from './scheduler-options.ts'

/** What is asked of a Process at every message for it. */
interface Hosted {
  /** Its `Scheduler` tag. */
  readonly first: Address
  readonly authorities: readonly Address[]
  /** Confirmations that a transaction of Arweave itself needs before it is assigned. */
  readonly settlementDepth: number
}

/** What an SU refuses to order, and what it knows of each Process for that. */
export class Admission {
  readonly #deps: Pick<SchedulerUnitDeps, 'signer' | 'log' | 'arweave' | 'policy'> & { readonly turn: OwnTurn }
  readonly #maxItemBytes: number
  readonly #known = new LRUCache<ProcessId, Hosted>({ max: 10_000 })

  constructor(
    deps: Pick<SchedulerUnitDeps, 'signer' | 'log' | 'arweave' | 'policy'> & { readonly turn: OwnTurn },
    { maxItemBytes }: { readonly maxItemBytes: number },
  ) {
    this.#deps = deps
    this.#maxItemBytes = maxItemBytes
  }

  /** @throws AoError `TOO_LARGE` | `WRONG_UNIT` | `UNKNOWN_PROCESS` | `NOT_READY`, and what the operator's policy throws. */
  async admit(message: DataItem, options: AbortOptions): Promise<{ process: ProcessId; origin: Origin | undefined }> {
    const { raw } = message
    const limit = this.#maxItemBytes
    if (raw.length > limit) {
      throw new AoError('TOO_LARGE', 'the data item is too large', { bytes: raw.length, limit })
    }
    const ao = parseAoItem(message)
    const { process } = ao
    this.#deps.policy?.(message)
    if (ao.type === 'Message') {
      const { authorities } = await this.ours(process)
      return { process, origin: originOf(message, authorities) }
    }
    const { scheduler } = ao.spec
    const asked = this.#deps.signer.address
    if (scheduler === asked) {
      await assertCanBegin(message, { arweave: this.#deps.arweave, ...options })
      return { process, origin: undefined }
    }
    throw new AoError(
      'WRONG_UNIT',
      'the Process names another scheduler',
      { process, scheduler, asked },
      { hint: 'Send it to the scheduler that its Scheduler tag names.' },
    )
  }

  /** @throws AoError as `known`; `WRONG_UNIT` | `NOT_READY` if it is another's turn. */
  async ours(process: ProcessId): Promise<Hosted> {
    const hosted = await this.known(process)
    await this.#deps.turn.assert(process, hosted.first)
    return hosted
  }

  /** Of a Process in this log, whoever's turn it is. @throws AoError `UNKNOWN_PROCESS` */
  async known(process: ProcessId): Promise<Hosted> {
    const known = this.#known.get(process)
    if (known !== undefined) return known
    const item = await this.#deps.log.process(process)
    if (item === undefined) throw unknownProcess(process)
    const { scheduler: first, authorities } = parseProcessSpec(item.tags)
    const hosted = {
      first,
      authorities,
      settlementDepth: settlementDepthOf(item.tags),
    }
    this.#known.set(process, hosted)
    return hosted
  }
}

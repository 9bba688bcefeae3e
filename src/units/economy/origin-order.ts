import type { HostEpoch } from '../../economy/host-epochs.ts'
import type { LogHead } from '../../economy/rows.ts'
import { fromBase64Url, toBase64Url } from '../../lib/bytes.ts'
import { AoError } from '../../lib/errors.ts'
import type { OrderSnapshot } from '../../ports/economy-store.ts'
import { type Assignment, checkFollows, parseAssignment } from '../../protocol/assignment.ts'
import { type DataItem, parseStoredItem } from '../../protocol/data-item.ts'
import type { Address, MessageId, ProcessId } from '../../protocol/ids.ts'
import { parseAoItem } from '../../protocol/message.ts'
import { originOf } from '../../protocol/origin.ts'
import { hasTag } from '../../protocol/tags.ts'

export interface OrderRules {
  readonly process: ProcessId
  /** Who may order, in turn: the Process's `Scheduler` and `Fallback-Scheduler` tags. */
  readonly schedulers: readonly Address[]
  /** MUs that the Process believes: of what they push, the first of equal parts is ordered, under its own id alone. */
  readonly authorities: readonly Address[]
  /** Blocks that an item addressed to the Process may lie on Arweave without an Assignment. */
  readonly takeoverBlocks: number
}

/** An item as it stands on Arweave at the settlement depth. `timestamp` of its block, in milliseconds. */
export interface PublishedItem {
  readonly height: number
  readonly timestamp: number
  readonly item: DataItem
}

/** Assignments held until those before them are there. A bundle out of turn is a matter of minutes. */
const maxHeld = 10_000
/** Items that wait for an Assignment; the oldest decides, so those beyond change nothing but its end. */
const maxWaiting = 10_000
/** Of an item that must be ordered. */
const maxItemBytes = 1024 * 1024
/** Newest nonces for which a second Assignment is noticed. */
const maxAssigned = 10_000
/** A block of Arweave may be stamped that much earlier than one before it, by clocks that differ. Milliseconds. */
const maxSkewMs = 600_000
/** An Assignment may lie unpublished for as long as an item may wait, times this: then its SU holds up time itself. */
const maxLag = 12

/**
 * The order of AO-Sec Origin, from Arweave alone: what its SUs published, the first for each nonce, and who comes next
 * when one of them is silent or signs twice. It judges SUs, so none of them is asked.
 *
 * Invariant: a pure function of what was given, height by height: every node that reads Arweave comes to the same.
 */
export class OriginOrder {
  readonly #rules: OrderRules
  #previous: Assignment | undefined
  #epoch: number
  /** Where each earlier SU ended. */
  readonly #ends: (LogHead | null)[]
  /** Height at which the present SU's turn began. */
  #since = 0
  readonly #assigned = new Map<number, { readonly message: MessageId; readonly epoch: number }>()
  readonly #assignedMessages = new Set<MessageId>()
  readonly #held = new Map<number, Assignment>()
  readonly #waiting = new Map<MessageId, number>()

  /** @param last the last Assignment that counted and what `snapshot` told then, to go on from there. */
  constructor(rules: OrderRules, last?: OrderSnapshot & { readonly assignment: Assignment }) {
    this.#rules = rules
    this.#previous = last?.assignment
    this.#epoch = last?.epoch ?? 0
    this.#since = last?.since ?? 0
    this.#ends = [...(last?.ends ?? [])]
    for (const [nonce, message, epoch] of last?.assigned ?? []) this.#remember(nonce, message, epoch)
    for (const [message, height] of last?.waiting ?? []) this.#waiting.set(message, height)
    for (const raw of last?.held ?? []) {
      const assignment = parseAssignment(parseStoredItem(fromBase64Url(raw)))
      this.#held.set(assignment.nonce, assignment)
    }
  }

  snapshot(): OrderSnapshot {
    return {
      epoch: this.#epoch,
      since: this.#since,
      ends: [...this.#ends],
      assigned: [...this.#assigned].map(([nonce, { message, epoch }]) => [nonce, message, epoch] as const),
      waiting: [...this.#waiting],
      held: [...this.#held.values()].map(({ raw }) => toBase64Url(raw)),
    }
  }

  /** Counts up with each SU that had to go. */
  get epoch(): number {
    return this.#epoch
  }

  get scheduler(): Address | undefined {
    return this.#rules.schedulers[this.#epoch]
  }

  /** All turns so far, the present one last. */
  get epochs(): readonly HostEpoch[] {
    return this.#rules.schedulers
      .slice(0, this.#epoch + 1)
      .map((scheduler, epoch) => ({ epoch, scheduler, last: this.#ends[epoch] ?? undefined }))
  }

  /** Items addressed to the Process that lie on Arweave without an Assignment, the oldest first. */
  get waiting(): readonly MessageId[] {
    return [...this.#waiting.keys()]
  }

  /** Takes what was published next. @returns the Assignments that count from now on, in order. */
  take(published: PublishedItem): readonly Assignment[] {
    const { height, item } = published
    if (hasTag(item.tags, 'Type', 'Assignment')) return this.#takeAssignment(published)
    if (this.#waiting.size < maxWaiting && !this.#waiting.has(item.id) && this.#mustBeOrdered(item)) {
      this.#waiting.set(item.id, height)
    }
    return []
  }

  /** Only what each honest SU would order: else anybody could have it replaced by posting what it has to refuse. */
  #mustBeOrdered(item: DataItem): boolean {
    const { process, authorities } = this.#rules
    if (item.target !== process || this.#assignedMessages.has(item.id) || item.raw.length > maxItemBytes) return false
    if (originOf(item, authorities) !== undefined) return false
    try {
      return parseAoItem(item).type === 'Message'
    } catch {
      return false
    }
  }

  /** Everything up to and with this height has been given: whoever was silent for too long by then has had its turn. */
  closeHeight(height: number): void {
    while (this.#epoch + 1 < this.#rules.schedulers.length) {
      let oldest = Number.POSITIVE_INFINITY
      for (const since of this.#waiting.values()) oldest = Math.min(oldest, since)
      const due = Math.max(oldest, this.#since) + this.#rules.takeoverBlocks + 1
      if (due > height) return
      this.handOver(due) // at that height and no other, however far a node has read at once
    }
  }

  #takeAssignment(published: PublishedItem): readonly Assignment[] {
    const { height, item } = published
    let assignment: Assignment
    try {
      assignment = parseAssignment(item)
    } catch {
      return [] // not an Assignment after all
    }
    const { process, scheduler, epoch, nonce } = assignment
    if (process !== this.#rules.process || scheduler !== this.scheduler || epoch !== this.#epoch) return []
    const counted = this.#assigned.get(nonce)
    if (counted !== undefined) {
      if (counted.epoch === epoch && counted.message !== assignment.message) this.handOver(height)
      return []
    }
    if (nonce <= (this.#previous?.nonce ?? -1)) return [] // counted long ago
    if (nonce > 0 && !this.#isOfItsTime(assignment, published)) {
      this.handOver(height)
      return []
    }
    if (!this.#held.has(nonce) && this.#held.size < maxHeld) this.#held.set(nonce, assignment)
    return [...this.#release()]
  }

  /**
   * The economy's clock is what its SU stamps. It must not run ahead of the block that carries the Assignment, or
   * stakes leave and evidence expires at the SU's will; nor stand still, or no slash is ever due.
   */
  #isOfItsTime({ blockHeight, blockTimestamp }: Assignment, { height, timestamp }: PublishedItem): boolean {
    const isAhead = blockHeight > height || blockTimestamp > timestamp + maxSkewMs
    return !isAhead && blockHeight >= height - maxLag * this.#rules.takeoverBlocks
  }

  /** What now follows without a gap. One that does not follow is passed over: it never counts. */
  *#release(): Generator<Assignment> {
    for (;;) {
      const nonce = (this.#previous?.nonce ?? -1) + 1
      const next = this.#held.get(nonce)
      if (next === undefined) return
      this.#held.delete(nonce)
      if (!this.#follows(next)) continue
      this.#previous = next
      this.#remember(nonce, next.message, next.epoch)
      this.#waiting.delete(next.message)
      yield next
    }
  }

  #remember(nonce: number, message: MessageId, epoch: number): void {
    this.#assigned.set(nonce, { message, epoch })
    this.#assignedMessages.add(message)
    const oldest = this.#assigned.get(nonce - maxAssigned)
    if (oldest === undefined) return
    this.#assigned.delete(nonce - maxAssigned)
    this.#assignedMessages.delete(oldest.message)
  }

  #follows(next: Assignment): boolean {
    try {
      checkFollows(this.#rules.process, this.#previous, next)
      return true
    } catch (error) {
      if (error instanceof AoError) return false
      throw error
    }
  }

  /** The next SU in the list goes on after the last Assignment that counted. */
  handOver(height: number): void {
    if (this.#epoch + 1 >= this.#rules.schedulers.length) return // nobody left: the last one stays
    const { nonce, id: assignment, hashChain } = this.#previous ?? {}
    const hasLast = nonce !== undefined && assignment !== undefined && hashChain !== undefined
    this.#ends.push(hasLast ? { nonce, assignment, hashChain } : null)
    this.#epoch++
    this.#since = height
    this.#held.clear()
  }
}

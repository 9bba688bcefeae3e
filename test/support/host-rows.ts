import { epochsOf, type HostEpoch, judgePlace, type PlaceVerdict } from '../../src/economy/host-epochs.ts'
import type { HostRow, LogHead } from '../../src/economy/rows.ts'
import type { Hosting, HostTable } from '../../src/ports/hosts.ts'
import type { Assignment } from '../../src/protocol/assignment.ts'
import type { Address, ProcessId } from '../../src/protocol/ids.ts'

/** Rows of AO-Sec Origin's host table, set by a test at the moment when a node would have read them from Arweave. */
export class HostRows implements HostTable {
  readonly #rows = new Map<ProcessId, HostRow>()

  /** The Process has lost its host, and nobody has it yet. */
  orphan(process: ProcessId, from: Address): void {
    const before = this.#rows.get(process)
    const epoch = before?.epoch ?? 0
    const past = [...(before?.past ?? []), { epoch, scheduler: from, from: 0, to: 1, last: undefined }]
    this.#rows.set(process, { ...empty, epoch, scheduler: from, phase: 'bidding', past })
  }

  /** Another goes on after `last`. */
  give(process: ProcessId, to: Address, last: Pick<Assignment, 'nonce' | 'id' | 'hashChain'>): void {
    const before = this.#rows.get(process)
    if (before === undefined) throw new Error('it has a host')
    const head: LogHead = { nonce: last.nonce, assignment: last.id, hashChain: last.hashChain }
    const past = before.past.map((one, i) => (i === before.past.length - 1 ? { ...one, last: head } : one))
    this.#rows.set(process, { ...before, epoch: before.epoch + 1, scheduler: to, phase: 'hosted', head, past })
  }

  hostOf(process: ProcessId, first: Address): Hosting | undefined {
    const row = this.#rows.get(process)
    return row?.phase === 'bidding' ? undefined : { scheduler: row?.scheduler ?? first, epoch: row?.epoch ?? 0 }
  }

  epochsOf(process: ProcessId, first: Address): readonly HostEpoch[] {
    return epochsOf(this.#rows.get(process), first)
  }

  newestEpoch(process: ProcessId): number {
    return this.#rows.get(process)?.epoch ?? 0
  }

  rehosted(): readonly ProcessId[] {
    return [...this.#rows].filter(([, row]) => row.phase === 'hosted').map(([process]) => process)
  }

  judge(assignment: Assignment, first: Address): PlaceVerdict {
    return judgePlace(this.epochsOf(assignment.process, first), assignment)
  }
}

const empty: Omit<HostRow, 'epoch' | 'scheduler' | 'phase' | 'past'> = {
  ...{ since: 0, head: undefined, fork: undefined, bids: [], fallbacks: [], queue: [], winnerBond: undefined },
  bounty: 0n,
  ready: true,
}

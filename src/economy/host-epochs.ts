import type { Address } from '../protocol/ids.ts'
import type { HostRow, LogHead } from './rows.ts'

/** Who ordered a Process in one epoch, and where that epoch ended. */
export interface HostEpoch {
  readonly epoch: number
  readonly scheduler: Address
  /** Its last Assignment; undefined while it goes on, or while it is not settled where it ended. */
  readonly last: LogHead | undefined
}

/** An Assignment by its place. */
export interface Placed {
  readonly id: string
  readonly scheduler: Address
  readonly epoch: number
  readonly nonce: number
}

/**
 * `stands`: its signer could order there. `void`: it could not, or what it ordered there was dropped. `unknown`: of an
 * epoch that the table does not have (yet).
 */
export type PlaceVerdict = 'stands' | 'void' | 'unknown'

/** All epochs of a Process that are remembered, the newest last. `first` is its `Scheduler` tag. */
export function epochsOf(row: HostRow | undefined, first: Address): readonly HostEpoch[] {
  if (row === undefined) return [{ epoch: 0, scheduler: first, last: undefined }]
  const past = row.past.map(({ epoch, scheduler, last }) => ({ epoch, scheduler, last }))
  return row.phase === 'bidding' ? past : [...past, { epoch: row.epoch, scheduler: row.scheduler, last: undefined }]
}

/** May the Assignment stand in the Process's log? Of epochs that are forgotten the hash chain alone decides. */
export function judgePlace(epochs: readonly HostEpoch[], at: Placed): PlaceVerdict {
  if (at.epoch > (epochs.at(-1)?.epoch ?? 0)) return 'unknown'
  const index = epochs.findIndex(({ epoch }) => epoch === at.epoch)
  const own = epochs[index]
  if (own === undefined) return 'stands'
  if (own.scheduler !== at.scheduler) return 'void'
  const before = epochs[index - 1]?.last
  if (before !== undefined && at.nonce <= before.nonce) return 'void'
  const { last } = own
  if (last === undefined || at.nonce < last.nonce) return 'stands'
  return at.nonce === last.nonce && at.id === last.assignment ? 'stands' : 'void'
}

import { sha256, toBase64Url, utf8 } from '../lib/bytes.ts'
import { AoError } from '../lib/errors.ts'
import type { Account } from './account.ts'
import { schedule } from './agenda.ts'
import { forfeit, lock, unlock } from './ledger.ts'
import { parseQuantity } from './quantity.ts'
import type { EconomyState } from './state.ts'

/** What a reporter commits to before it shows evidence: bound to its address, so nobody can copy it. 43 characters. */
export const commitmentOf = (digest: string, salt: string, reporter: Account): string =>
  toBase64Url(sha256(utf8(`ao-sec/commit/v1\0${digest}\0${salt}\0${reporter}`)))

const keyOf = (reporter: Account, commitment: string): string => `${reporter} ${commitment}`

/** Locks the bond. @throws AoError `NOT_ALLOWED` | `INSUFFICIENT_BALANCE` */
export function commitEvidence(state: EconomyState, reporter: Account, commitment: string): void {
  const key = keyOf(reporter, commitment)
  if (!/^[A-Za-z0-9_-]{43}$/.test(commitment)) throw new AoError('INVALID_ARGUMENT', 'Digest is not 43 characters')
  if (state.commits.has(key)) throw new AoError('NOT_ALLOWED', 'this commitment was made already')
  const bond = parseQuantity(state.params.objectiveBond)
  lock(state, reporter, bond)
  const { height } = state.clock.value
  state.commits.set(key, { reporter, height, bond })
  schedule(state, { height: height + state.params.commitMaxBlocks + 1, kind: 'commit', key })
}

/**
 * Opens a commitment, whose bond is then the caller's to give back or to keep.
 *
 * @throws AoError `NOT_ALLOWED` without a commitment; `NOT_READY` before it may be opened.
 */
export function openCommit(state: EconomyState, reporter: Account, at: { digest: string; salt: string }): CommitBond {
  const key = keyOf(reporter, commitmentOf(at.digest, at.salt, reporter))
  const row = state.commits.get(key)
  if (row === undefined) {
    throw new AoError(
      'NOT_ALLOWED',
      'no commitment to this evidence and salt',
      {},
      { hint: 'Send Commit-Evidence first.' },
    )
  }
  const { height } = state.clock.value
  const { commitMinBlocks, commitMaxBlocks } = state.params
  if (height < row.height + commitMinBlocks) {
    throw new AoError('NOT_READY', 'the commitment is too young', { from: row.height + commitMinBlocks, height })
  }
  if (height > row.height + commitMaxBlocks) throw new AoError('NOT_ALLOWED', 'the commitment is too old', { height })
  state.commits.delete(key)
  return {
    giveBack: () => unlock(state, reporter, row.bond),
    keep: accused => forfeit(state, accused, row.bond),
  }
}
export interface CommitBond {
  giveBack(): void
  keep(accused: Account | undefined): void
}

/** Never opened: harmless, so the bond goes back. */
export function expireCommit(state: EconomyState, key: string): void {
  const row = state.commits.get(key)
  if (row === undefined) return
  state.commits.delete(key)
  unlock(state, row.reporter, row.bond)
}

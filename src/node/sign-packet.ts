import type { KeyObject } from 'node:crypto'
import type { Run } from '../protocol/signed-run.ts'
import type { PlainError } from '../vm/worker-messages.ts'

/** What a thread is started with. */
export interface SignThreadData {
  /** A private Ed25519 key; it does not leave the program. */
  readonly key: KeyObject
}
export type SignRequest = readonly Run[]

export type SignAnswer = Signed | { readonly failure: PlainError }

/** Of all Assignments of the runs, in their order: what cannot be told from the plans. */
export interface Signed {
  /** Their bytes, one after the other. */
  readonly bytes: Uint8Array
  /** Where each ends. */
  readonly ends: readonly number[]
  readonly ids: readonly string[]
  readonly hashChains: readonly string[]
}

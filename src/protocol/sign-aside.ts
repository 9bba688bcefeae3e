import type { KeyObject } from 'node:crypto'
import type { Assignment } from './assignment.ts'
import type { Address } from './ids.ts'
import type { Run } from './signed-run.ts'

/** A private Ed25519 key of this program, and whose it is. */
export interface HeldKey {
  readonly address: Address
  readonly key: KeyObject
}
/** Signs runs beside the main thread: for each its Assignments. Undefined where that would take longer than here. */
export type RunSigning = (
  held: HeldKey,
  runs: readonly Run[],
) => Promise<readonly (readonly Assignment[])[]> | undefined

let signing: RunSigning = () => undefined

/** Signs in whatever thread this program has for it. */
export const signRunsAside: RunSigning = (held, runs) => signing(held, runs)

/** The thread belongs to the program: who starts it says so here, and again without when it ends. */
export function signRunsIn(thread: RunSigning | undefined): void {
  signing = thread ?? (() => undefined)
}

import type { Catalog } from './catalog.ts'
import type { Chain } from './chain.ts'
import type { Intake } from './intake.ts'
import type { ShiftedClock } from './shifted-clock.ts'

/** What every route stands on: blocks, what is known, and what takes in. */
export interface Gateway {
  readonly clock: ShiftedClock
  readonly chain: Chain
  readonly catalog: Catalog
  readonly intake: Intake
}

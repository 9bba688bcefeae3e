import { AoError } from '../../lib/errors.ts'
import type { Compute, Messenger, Scheduler } from '../../ports/units.ts'
import type { UnitRole } from '../../protocol/unit-record.ts'

// What a node answers in the place of units it does not run.

const absent = (role: UnitRole, name: string): AoError =>
  new AoError(
    'WRONG_UNIT',
    `this node is not a ${name}`,
    { role },
    { hint: 'Ask a node that has the role: `aonet status` lists them.' },
  )

const noScheduler = async (): Promise<never> => {
  throw absent('SU', 'Scheduler Unit')
}
const noCompute = async (): Promise<never> => {
  throw absent('CU', 'Compute Unit')
}
const noMessenger = async (): Promise<never> => {
  throw absent('MU', 'Messenger Unit')
}
/** An iterable that fails at the first step. */
const nothingBut = (fail: () => Promise<never>): AsyncIterable<never> => ({
  [Symbol.asyncIterator]: () => ({ next: fail }),
})

export const absentScheduler: Scheduler = {
  schedule: noScheduler,
  assign: noScheduler,
  clock: noScheduler,
  assignment: noScheduler,
  process: noScheduler,
  read: () => nothingBut(noScheduler),
}
export const absentCompute: Compute = { result: noCompute, results: noCompute, dryRun: noCompute, memory: noCompute }
export const absentMessenger: Messenger = {
  submit: noMessenger,
  promise: noMessenger,
  assign: noMessenger,
  monitor: noMessenger,
  unmonitor: noMessenger,
  crank: noMessenger,
  follow: () => nothingBut(noMessenger),
}

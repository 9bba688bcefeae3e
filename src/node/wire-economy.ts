import { AoError } from '../lib/errors.ts'
import type { DataItem } from '../protocol/data-item.ts'
import { type Id, type ProcessId, parseId } from '../protocol/ids.ts'
import { testnetParams } from '../protocol/params.ts'
import { Accuser, type AccuserDeps, defaultAccuserOptions } from '../units/economy/accuser.ts'
import type { EconomyFollower } from '../units/economy/follower.ts'
import { defaultLogCollectorOptions, LogCollector, type LogCollectorDeps } from '../units/economy/log-collector.ts'
import { Orphans, type OrphansDeps } from '../units/economy/orphans.ts'
import { defaultRespondentOptions, Respondent, type RespondentDeps } from '../units/economy/respondent.ts'
import { defaultSuccessorOptions, Successor, type SuccessorDeps } from '../units/economy/successor.ts'
import type { SchedulerUnit } from '../units/scheduler/scheduler.ts'
import type { NodeOptions } from './settings.ts'

interface Parts {
  readonly economy: EconomyFollower | undefined
  readonly scheduler: SchedulerUnit | undefined
  readonly options: NodeOptions
}

/** An SU of a network with an economy carries on Processes of others. */
export const successor = (
  deps: LogCollectorDeps & Pick<OrphansDeps, 'recall'> & Pick<SuccessorDeps, 'routes' | 'mail'>,
  { economy, scheduler, options }: Parts,
): Successor | undefined => {
  if (economy === undefined || scheduler === undefined) return undefined
  const { settleConfirmations: settlementDepth } = options
  return new Successor(
    {
      ...{ ...deps, economy, scheduler, origin: originOf(options) },
      orphans: new Orphans(deps),
      collector: new LogCollector(deps, { ...defaultLogCollectorOptions, settlementDepth }),
      item: (id, abort) => deps.arweave.item(id, abort),
    },
    { ...defaultSuccessorOptions, bids: options.takeOver },
  )
}

/** Answers for an SU, unless a testnet wants to see what comes of silence. */
export const respondent = (
  deps: Pick<LogCollectorDeps, 'address' | 'arweave' | 'telemetry'> & Pick<RespondentDeps, 'log' | 'mail'>,
  { economy, scheduler, options }: Parts,
): Respondent | undefined => {
  if (economy === undefined || scheduler === undefined) return undefined
  if (showsFault(options, 'censor') || showsFault(options, 'no-publish')) return undefined
  const item = (id: Id, abort: object): Promise<DataItem | undefined> => deps.arweave.item(id, abort)
  return new Respondent({ ...deps, economy, scheduler, item, origin: originOf(options) }, defaultRespondentOptions)
}

export const accuser = (
  deps: Omit<AccuserDeps, 'economy' | 'origin'>,
  { economy, options }: Omit<Parts, 'scheduler'>,
): Accuser | undefined =>
  economy === undefined || !options.reportFaults
    ? undefined
    : new Accuser({ ...deps, economy, origin: originOf(options) }, defaultAccuserOptions)

/** Whether a node of a testnet is to misbehave in this way. */
export const showsFault = ({ fault, network }: NodeOptions, wanted: NodeOptions['fault']): boolean =>
  fault === wanted && network === testnetParams.network

/** An SU that orders the messages of AO-Sec Origin and nobody else's. */
export const censoring =
  ({ origin }: NodeOptions) =>
  ({ target }: DataItem): void => {
    if (target !== undefined && target !== origin) throw new AoError('OVERLOADED', 'the scheduler takes no messages')
  }

const originOf = ({ origin }: NodeOptions): ProcessId => parseId<ProcessId>(origin, 'origin')

import { AoError } from '../lib/errors.ts'
import type { ArweaveClient } from '../ports/settlement.ts'
import type { Scheduler } from '../ports/units.ts'
import type { BlockAnchor } from '../protocol/assignment.ts'
import type { DataItem } from '../protocol/data-item.ts'
import { type Id, type ProcessId, parseId } from '../protocol/ids.ts'
import { testnetParams } from '../protocol/params.ts'
import { Accuser, type AccuserDeps, defaultAccuserOptions } from '../units/economy/accuser.ts'
import { AnchorWatch, type AnchorWatchDeps, defaultAnchorWatchOptions } from '../units/economy/anchor-watch.ts'
import type { EconomyFollower } from '../units/economy/follower.ts'
import { defaultLogCollectorOptions, LogCollector, type LogCollectorDeps } from '../units/economy/log-collector.ts'
import { type MessengerAnswersDeps, messengerAnswers } from '../units/economy/messenger-answers.ts'
import { defaultOracleFeedOptions, OracleFeed, type OracleFeedDeps } from '../units/economy/oracle-feed.ts'
import { Orphans, type OrphansDeps } from '../units/economy/orphans.ts'
import { defaultRespondentOptions, Respondent, type RespondentDeps } from '../units/economy/respondent.ts'
import { type SchedulerAnswersDeps, schedulerAnswers } from '../units/economy/scheduler-answers.ts'
import { defaultSuccessorOptions, Successor, type SuccessorDeps } from '../units/economy/successor.ts'
import type { MessengerUnit } from '../units/messenger/messenger.ts'
import type { PromiseCourt } from '../units/messenger/promises.ts'
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

/** Answers for SU and MU, unless a testnet wants to see what comes of silence. */
export const respondent = (
  deps: Omit<RespondentDeps, 'economy' | 'origin' | 'answers'> &
    Pick<SchedulerAnswersDeps, 'log'> &
    Pick<MessengerAnswersDeps, 'routes' | 'scheduler'> & { readonly arweave: Pick<ArweaveClient, 'item'> },
  { economy, scheduler: own, messenger, options }: Parts & { readonly messenger: MessengerUnit | undefined },
): Respondent | undefined => {
  if (economy === undefined || silentFaults.some(fault => showsFault(options, fault))) return undefined
  const item = (id: Id, abort: object): Promise<DataItem | undefined> => deps.arweave.item(id, abort)
  const answers = {
    ...(own && schedulerAnswers({ log: deps.log, scheduler: own, item })),
    ...(messenger && messengerAnswers({ ...deps, messenger, economy })),
  }
  return new Respondent({ ...deps, economy, answers, origin: originOf(options) }, defaultRespondentOptions)
}

const silentFaults = ['censor', 'no-publish', 'no-deliver'] as const

/** What an MU has messages ordered by: nothing but AO-Sec Origin's, where a testnet wants to see an MU that forgets. */
export function muScheduler(scheduler: Scheduler, options: NodeOptions): Scheduler {
  if (!showsFault(options, 'no-deliver')) return scheduler
  return {
    schedule: async (message, abort) => {
      if (message.target === options.origin) return scheduler.schedule(message, abort)
      throw new AoError('PEER_UNREACHABLE', 'the messenger passes nothing on')
    },
    assign: (...asked) => scheduler.assign(...asked),
    assignment: (...asked) => scheduler.assignment(...asked),
    clock: (...asked) => scheduler.clock(...asked),
    process: (...asked) => scheduler.process(...asked),
    read: (...asked) => scheduler.read(...asked),
  }
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

/** Arweave as an SU of a testnet sees it that is to name false blocks: their heights are right, their hashes are not. */
export const withFalseHead = (arweave: ArweaveClient): ArweaveClient =>
  new Proxy(arweave, {
    get(target, name) {
      if (name === 'head') {
        return async (...asked: Parameters<ArweaveClient['head']>): Promise<BlockAnchor> => {
          const head = await target.head(...asked)
          return { ...head, hash: [...head.hash].reverse().join('') }
        }
      }
      const member: unknown = Reflect.get(target, name, target)
      return typeof member === 'function' ? member.bind(target) : member
    },
  })

/** An SU that orders the messages of AO-Sec Origin and nobody else's. */
export const censoring =
  ({ origin }: NodeOptions) =>
  ({ target }: DataItem): void => {
    if (target !== undefined && target !== origin) throw new AoError('OVERLOADED', 'the scheduler takes no messages')
  }

/** Reports for the economy, if its parameters name this node. */
export const oracleFeed = (
  deps: Omit<OracleFeedDeps, 'economy' | 'origin'>,
  { economy, options }: Pick<Parts, 'economy' | 'options'>,
): OracleFeed | undefined =>
  economy === undefined
    ? undefined
    : new OracleFeed({ ...deps, economy, origin: originOf(options) }, defaultOracleFeedOptions)

/** Looks at the blocks that SUs name, unless the node is to report no faults. */
export const anchorWatch = (
  deps: Omit<AnchorWatchDeps, 'economy' | 'origin'>,
  { economy, options }: Pick<Parts, 'economy' | 'options'>,
): AnchorWatch | undefined =>
  economy === undefined || !options.reportFaults
    ? undefined
    : new AnchorWatch({ ...deps, economy, origin: originOf(options) }, defaultAnchorWatchOptions)

/** Where an MU's promises count. */
export const promiseCourt = (economy: EconomyFollower | undefined, options: NodeOptions): PromiseCourt | undefined =>
  economy === undefined ? undefined : { economy, origin: originOf(options) }

const originOf = ({ origin }: NodeOptions): ProcessId => parseId<ProcessId>(origin, 'origin')

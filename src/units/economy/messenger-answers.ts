import { isReadable } from '../../modules/ao-sec-origin/items.ts'
import type { HostTable } from '../../ports/hosts.ts'
import type { Scheduler } from '../../ports/units.ts'
import { parseAssignment } from '../../protocol/assignment.ts'
import { parseStoredItem } from '../../protocol/data-item.ts'
import type { MessengerUnit } from '../messenger/messenger.ts'
import type { Routes } from '../routing/route.ts'
import type { Answers } from './respondent.ts'

export interface MessengerAnswersDeps {
  readonly messenger: Pick<MessengerUnit, 'promised'>
  /** Routed: any Process of the network. */
  readonly scheduler: Pick<Scheduler, 'assignment'>
  readonly routes: Pick<Routes, 'process'>
  readonly economy: Pick<HostTable, 'judge'>
}

/**
 * What an MU shows of a message that it promised to deliver (F8): that it is ordered; while nobody orders it the message
 * itself, so that the SU is asked for it. Either way an MU that has what it promised is never found guilty.
 */
export const messengerAnswers = ({ messenger, scheduler, routes, economy }: MessengerAnswersDeps): Answers => ({
  F8: async ({ row: { process, message } }, options) => {
    const { item: ofProcess, spec } = await routes.process(process, options)
    const promised = await messenger.promised(message, options)
    const bytes =
      promised?.assignment ??
      (await scheduler.assignment(process, message, options).then(
        ({ raw }) => raw,
        () => undefined,
      ))
    const stands =
      bytes !== undefined &&
      isReadable(bytes) &&
      economy.judge(parseAssignment(parseStoredItem(bytes)), spec.scheduler) === 'stands'
    if (stands) return [parseStoredItem(bytes), ofProcess]
    return promised && [promised.item, ofProcess]
  },
})

import type { ChallengeRequest } from '../../economy/challenges.ts'
import { epochsOf, judgePlace } from '../../economy/host-epochs.ts'
import { hostOf } from '../../economy/hosts.ts'
import type { ChallengeRow } from '../../economy/rows.ts'
import type { EconomyState } from '../../economy/state.ts'
import { AoError } from '../../lib/errors.ts'
import { type Assignment, parseAssignment } from '../../protocol/assignment.ts'
import { parsePromise } from '../../protocol/delivery-promise.ts'
import type { EconomyParams } from '../../protocol/economy-params.ts'
import type { Address, Id, ProcessId } from '../../protocol/ids.ts'
import { tagValue } from '../../protocol/tags.ts'
import { itemsOf, processItem, shownId, signedItem } from './items.ts'
import { addressOf, need, type Request } from './message.ts'

/**
 * What a challenge asks for, from its signed items alone. Data is a bundle: first what was signed (F2: the Assignment that
 * acknowledges; F3: the message that is not ordered; F8: the promise), then, for F2 and F3, the Process item.
 */
export function challengeOf(request: Request, params: EconomyParams): Omit<ChallengeRequest, 'challenger'> {
  const kind = need(request, 'Kind')
  const [first, second] = itemsOf(request.data, 2)
  if (first === undefined) throw new AoError('INVALID_ARGUMENT', 'the challenge shows nothing that was signed')
  const item = signedItem(first)
  const host = second === undefined ? undefined : processItem(second)
  const firstScheduler = host?.spec.scheduler
  const ofProcess = (process: ProcessId): void => {
    if (host !== undefined && host.process !== process)
      throw new AoError('INVALID_ARGUMENT', 'the Process item is another')
  }
  switch (kind) {
    case 'F2': {
      const { scheduler: signer, process, epoch, nonce, message, id: assignment, blockHeight } = parseAssignment(item)
      ofProcess(process)
      // Whoever took the log over serves it as well.
      const accused = tagValue(request.tags, 'Accused') === undefined ? signer : addressOf(request, 'Accused')
      const notBefore = blockHeight + params.publicationBlocks
      return { kind, accused, signer, process, epoch, nonce, message, assignment, notBefore, firstScheduler }
    }
    case 'F3': {
      if (item.target === undefined) throw new AoError('INVALID_ARGUMENT', 'the message has no target')
      ofProcess(item.target)
      const accused = addressOf(request, 'Accused')
      return { kind, accused, process: item.target, epoch: 0, message: item.id, firstScheduler }
    }
    case 'F8': {
      const { messenger: accused, process, message, deadline } = parsePromise(item)
      // So that whatever was at stake when it promised is still within reach.
      const notAfter = deadline + params.evidenceAgeBlocks - params.deliveryBlocks - params.responseBlocks
      return { kind, accused, process, epoch: 0, message, notBefore: deadline + 1, notAfter }
    }
    default:
      throw new AoError('INVALID_ARGUMENT', 'Kind is F2, F3 or F8', { kind: kind.slice(0, 16) })
  }
}

/**
 * Checks that the items are what was asked for. F2: that Assignment and the message itself. F3: an Assignment of the
 * message by the accused. F8: one by the target's host, or an earlier one that stands, with the Process item that names
 * the first.
 *
 * @throws AoError `INVALID_ARGUMENT` saying what is wrong.
 */
export function responseAnswers(state: EconomyState, row: ChallengeRow, items: readonly Uint8Array[]): void {
  const [first, second] = items
  const wrong = (why: string): AoError => new AoError('INVALID_ARGUMENT', `the response does not answer: ${why}`)
  if (first === undefined) throw wrong('it has no Assignment')
  const assignment = parseAssignment(signedItem(first))
  if (assignment.process !== row.process || assignment.message !== row.message) throw wrong('it is of another message')
  if (row.kind === 'F2') {
    if (assignment.id !== row.assignment) throw wrong('it is another Assignment')
    if (second === undefined || shownId(second) !== (row.message as Id)) throw wrong('the message is missing')
    return
  }
  if (row.kind === 'F3') {
    if (assignment.scheduler !== row.accused && !stoodBefore(state, assignment))
      throw wrong('another unit signed the Assignment')
    return
  }
  const spec = second === undefined ? undefined : processItem(second)
  if (spec !== undefined && spec.process !== row.process) throw wrong('the Process item is another')
  const host = hostOf(state, row.process, spec?.spec.scheduler)
  if (host?.scheduler !== assignment.scheduler && !stoodBefore(state, assignment))
    throw wrong('the target’s host did not sign it')
}

/** F8: whether the items are the promised message itself: then whoever hosts its target is to order it. */
export function showsMessage(row: ChallengeRow, [first, second]: readonly Uint8Array[]): ShownMessage | undefined {
  if (row.kind !== 'F8' || first === undefined || signedItem(first).id !== (row.message as Id)) return undefined
  const host = second === undefined ? undefined : processItem(second)
  if (host !== undefined && host.process !== row.process)
    throw new AoError('INVALID_ARGUMENT', 'the Process item is another')
  return { firstScheduler: host?.spec.scheduler }
}

interface ShownMessage {
  readonly firstScheduler: Address | undefined
}

/** An earlier host ordered the message, and it stands: nobody may order it again. */
function stoodBefore(state: EconomyState, assignment: Assignment): boolean {
  const row = state.hosts.get(assignment.process)
  return row !== undefined && judgePlace(epochsOf(row, assignment.scheduler), assignment) === 'stands'
}

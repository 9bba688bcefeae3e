import type { ChallengeRow } from '../../economy/rows.ts'
import type { AbortOptions } from '../../lib/abort.ts'
import { toBase64Url } from '../../lib/bytes.ts'
import type { Component } from '../../lib/component.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import { packBundle } from '../../protocol/bundle.ts'
import type { DataItem } from '../../protocol/data-item.ts'
import type { Address, ProcessId } from '../../protocol/ids.ts'
import { tagsOf } from '../../protocol/tags.ts'
import { failureFacts } from '../failure.ts'
import { Loop } from '../loop.ts'
import type { EconomyFollower } from './follower.ts'
import type { OriginMail } from './origin-mail.ts'

export interface RespondentDeps {
  /** This unit's own. */
  readonly address: Address
  readonly origin: ProcessId
  readonly economy: Pick<EconomyFollower, 'state'>
  readonly mail: OriginMail
  readonly answers: Answers
  readonly telemetry: Telemetry
}
/** What a unit shows when it is asked in that way; undefined if it has nothing to show. */
export type Answers = Partial<Readonly<Record<ChallengeRow['kind'], Answer>>>
type Answer = (challenge: OpenChallenge, options: AbortOptions) => Promise<readonly Shown[] | undefined>
/** `id` of the message to AO-Sec Origin that asked. */
export interface OpenChallenge {
  readonly id: string
  readonly row: ChallengeRow
}
type Shown = Pick<DataItem, 'id' | 'raw'>

export interface RespondentOptions {
  readonly pollMs: number
}
export const defaultRespondentOptions: RespondentOptions = { pollMs: 1000 }

/** Blocks after which an answer that did not show is given again. */
const answerAgainBlocks = 3

/**
 * Answers for the units of a node what they are asked in front of everybody. A unit that has what it owes, and is not
 * silent, is never found guilty.
 */
export class Respondent implements Component {
  readonly name = 'respondent'
  readonly #deps: RespondentDeps
  readonly #loop: Loop
  readonly #answeredAt = new Map<string, number>()

  constructor(deps: RespondentDeps, options: RespondentOptions = defaultRespondentOptions) {
    this.#deps = deps
    this.#loop = Loop.every(options.pollMs, abort => this.tick(abort), deps.telemetry.log, this.name)
  }

  start(): Promise<void> {
    return this.#loop.start()
  }

  stop(): Promise<void> {
    return this.#loop.stop()
  }

  /** One round over the open challenges of this node's units. */
  async tick(options: AbortOptions = {}): Promise<void> {
    const { economy, address, answers, telemetry } = this.#deps
    const { state } = economy
    if (state === undefined) return
    const { height } = state.clock.value
    for (const id of this.#answeredAt.keys()) if (!state.challenges.has(id)) this.#answeredAt.delete(id)
    for (const [id, row] of [...state.challenges.entries()]) {
      const answer = answers[row.kind]
      if (row.accused !== address || answer === undefined) continue
      if (height < (this.#answeredAt.get(id) ?? Number.NEGATIVE_INFINITY) + answerAgainBlocks) continue
      try {
        await this.#answer({ id, row }, answer, options)
        this.#answeredAt.set(id, height)
      } catch (error) {
        telemetry.log.error('challenge-not-answered', { challenge: id, kind: row.kind, ...failureFacts(error) })
      }
    }
  }

  async #answer(challenge: OpenChallenge, answer: Answer, options: AbortOptions): Promise<void> {
    const { mail, origin, telemetry } = this.#deps
    const { id, row } = challenge
    const items = await answer(challenge, options)
    if (items === undefined) {
      telemetry.log.error('challenged-for-what-this-unit-does-not-have', { challenge: id, kind: row.kind })
      return
    }
    const tags = tagsOf(['Action', 'Respond'], ['Challenge', id])
    await mail.send(origin, tags, toBase64Url(packBundle(items)), options)
    telemetry.log.warn('challenge-answered', { challenge: id, kind: row.kind, process: row.process })
  }
}

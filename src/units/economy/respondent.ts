import type { ChallengeRow } from '../../economy/rows.ts'
import type { AbortOptions } from '../../lib/abort.ts'
import { fromBase64Url, toBase64Url, toUtf8 } from '../../lib/bytes.ts'
import type { Component } from '../../lib/component.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import type { AssignmentLog } from '../../ports/assignment-log.ts'
import { packBundle, unpackBundle } from '../../protocol/bundle.ts'
import { type DataItem, parseStoredItem, verifyDataItem } from '../../protocol/data-item.ts'
import type { Address, Id, MessageId, Nonce, ProcessId } from '../../protocol/ids.ts'
import { tagsOf } from '../../protocol/tags.ts'
import { failureFacts } from '../failure.ts'
import { Loop } from '../loop.ts'
import type { SchedulerUnit } from '../scheduler/scheduler.ts'
import type { EconomyFollower } from './follower.ts'
import type { OriginMail } from './origin-mail.ts'

export interface RespondentDeps {
  /** This SU's own. */
  readonly address: Address
  readonly origin: ProcessId
  readonly economy: Pick<EconomyFollower, 'state'>
  readonly log: Pick<AssignmentLog, 'at' | 'find' | 'read'>
  readonly scheduler: Pick<SchedulerUnit, 'schedule'>
  readonly mail: OriginMail
  /** An item on Arweave: a challenge brings the message that it is about. */
  readonly item: (id: Id, options: AbortOptions) => Promise<DataItem | undefined>
  readonly telemetry: Telemetry
}
export interface RespondentOptions {
  readonly pollMs: number
}
export const defaultRespondentOptions: RespondentOptions = { pollMs: 1000 }

/** Bytes of one item that a response shows: as AO-Sec Origin reads. Of a larger one its beginning is shown. */
const maxShownBytes = 64 * 1024 + 1
/** Blocks after which an answer that did not show is given again. */
const answerAgainBlocks = 3

/**
 * Answers for an SU what it is asked in front of everybody: shows what it has ordered (F2), orders what it is said to
 * leave out and shows that (F3). An SU that has its log and is not silent is never found guilty.
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

  /** One round over the open challenges of this unit. */
  async tick(options: AbortOptions = {}): Promise<void> {
    const { economy, address, telemetry } = this.#deps
    const { state } = economy
    if (state === undefined) return
    const { height } = state.clock.value
    for (const id of this.#answeredAt.keys()) if (!state.challenges.has(id)) this.#answeredAt.delete(id)
    for (const [id, row] of [...state.challenges.entries()]) {
      if (row.accused !== address || row.role !== 'SU') continue
      if (height < (this.#answeredAt.get(id) ?? Number.NEGATIVE_INFINITY) + answerAgainBlocks) continue
      try {
        await this.#answer(id, row, options)
        this.#answeredAt.set(id, height)
      } catch (error) {
        telemetry.log.error('challenge not answered', { challenge: id, kind: row.kind, ...failureFacts(error) })
      }
    }
  }

  async #answer(id: string, row: ChallengeRow, options: AbortOptions): Promise<void> {
    const { mail, origin, telemetry } = this.#deps
    const items = row.kind === 'F2' ? await this.#ordered(row) : await this.#orders(id, row, options)
    if (items === undefined) {
      telemetry.log.error('challenged for what this scheduler does not have', { challenge: id, kind: row.kind })
      return
    }
    const tags = tagsOf(['Action', 'Respond'], ['Challenge', id])
    await mail.send(origin, tags, toBase64Url(packBundle(items)), options)
    telemetry.log.warn('challenge answered', { challenge: id, kind: row.kind, process: row.process })
  }

  /** F2: the Assignment that was acknowledged, and its message. */
  async #ordered({ process, nonce }: ChallengeRow): Promise<readonly Shown[] | undefined> {
    const at = nonce as Nonce
    for await (const { assignment, message } of this.#deps.log.read(process, { from: at, to: at })) {
      // What is on Arweave already was shown there: its SU has nothing more to show.
      const shown = message === undefined ? [] : [{ id: message.id, raw: message.raw.subarray(0, maxShownBytes) }]
      return [parseStoredItem(assignment.raw), ...shown]
    }
    return undefined
  }

  /** F3: an Assignment of the message; where there is none the challenge itself brings the message. */
  async #orders(id: string, row: ChallengeRow, options: AbortOptions): Promise<readonly Shown[] | undefined> {
    const { log, scheduler } = this.#deps
    const known = await log.find(row.process, row.message)
    if (known !== undefined) return [parseStoredItem(known.raw)]
    const message = await this.#brought(id, row.message, options)
    if (message === undefined) return undefined
    return [parseStoredItem((await scheduler.schedule(message, options)).raw)]
  }

  async #brought(challenge: string, message: MessageId, options: AbortOptions): Promise<DataItem | undefined> {
    const asked = await this.#deps.item(challenge as Id, options)
    if (asked === undefined) return undefined
    const [first] = unpackBundle(fromBase64Url(toUtf8(asked.data)), { maxItems: 2 })
    const item = first && (await verifyDataItem(first.bytes))
    return item?.id === message ? item : undefined
  }
}

type Shown = Pick<DataItem, 'id' | 'raw'>

import { z } from 'zod'
import { type AbortOptions, sleep } from '../../lib/abort.ts'
import { AoError, hasCode } from '../../lib/errors.ts'
import type { ForeignPlace, ForeignScheduler } from '../../ports/foreign.ts'
import type { AssignRequest, ScheduleClock } from '../../ports/units.ts'
import { type Assignment, parseAssignment, type ScheduledMessage } from '../../protocol/assignment.ts'
import type { DataItem } from '../../protocol/data-item.ts'
import { type Id, isId, type MessageId, type Nonce, type ProcessId, parseId } from '../../protocol/ids.ts'
import { rebuildItem } from '../../protocol/rebuild-item.ts'
import type { ForeignAnswer, ForeignHttp } from './http.ts'
import { refusal, saysItHasIt } from './refusals.ts'

/** Bytes of an answer that only says yes or no. */
const maxNoteBytes = 64 * 1024
/** Of one that shows a message: 10 MiB of it, as JSON. */
const maxShownBytes = 32 * 1024 * 1024
/** A database behind a router may show a moment later what it has taken: pauses between the looks, in milliseconds. */
const looks = [100, 400, 1_600]

const text = z.string()
const shownAssignment = z.object({
  id: text,
  owner: z.object({ key: text }),
  signature: text,
  tags: z.array(z.object({ name: text, value: text })),
})
const shownNode = z.object({ assignment: shownAssignment })
const shownPage = z.object({ edges: z.array(z.object({ node: shownNode })) })
const taken = z.object({ id: text })

/** The routes that every AO SU has: compat.md section B. Of its answers, Assignments are believed, by their signature. */
export class HttpForeignScheduler implements ForeignScheduler {
  readonly url: string
  readonly #http: ForeignHttp
  readonly #place: ForeignPlace

  constructor(http: ForeignHttp, place: ForeignPlace) {
    const { origin, pathname } = http.assertAllowed(place.url)
    this.url = `${origin}${pathname}`.replace(/\/+$/, '')
    this.#http = http
    this.#place = place
  }

  async take(message: DataItem, options: AbortOptions = {}): Promise<void> {
    const answer = await this.#ask('/', { ...options, body: message.raw })
    if (answer.status < 300) return
    if (!saysItHasIt(answer)) throw this.#refusal(answer)
    const process = message.target ?? (message.id as Id as ProcessId)
    try {
      await this.assignment(process, message.id, options)
    } catch (error) {
      if (!hasCode(error, 'UNKNOWN_MESSAGE', 'UNKNOWN_PROCESS')) throw error
      throw new AoError('NOT_ALLOWED', 'the SU of another network has a message of others that is equal to it', {
        ...{ process, message: message.id, url: this.url },
      })
    }
  }

  async schedule(message: DataItem, options: AbortOptions = {}): Promise<Assignment> {
    await this.take(message, options)
    return this.#shown(message.target ?? (message.id as Id as ProcessId), message.id, options)
  }

  async assign(request: AssignRequest, options: AbortOptions = {}): Promise<Assignment> {
    const { process, item, baseLayer, exclude } = request
    const query = new URLSearchParams({ 'process-id': process, assign: item })
    if (baseLayer) query.set('base-layer', '')
    if (exclude.length > 0) query.set('exclude', exclude.join(','))
    const answer = await this.#ask(`/?${query}`, { ...options, body: new Uint8Array(0) })
    if (answer.status >= 300 && !saysItHasIt(answer)) throw this.#refusal(answer)
    const at = answer.status < 300 ? parseId<MessageId>(this.#parsed(taken, answer).id) : item
    return this.#shown(process, at, options)
  }

  async assignment(process: ProcessId, at: MessageId | Nonce | 'newest', options: AbortOptions = {}) {
    const assignment = await this.#read(process, at, options)
    const { scheduler } = assignment
    const isAsked =
      !isId(String(at)) ||
      [assignment.message as string, assignment.id as string].includes(String(at)) ||
      at === process
    if (scheduler === this.#place.address && assignment.process === process && isAsked) return assignment
    throw new AoError('INVALID_ASSIGNMENT', 'the SU of another network shows the Assignment of something else', {
      ...{ process, at, url: this.url, scheduler, id: assignment.id },
    })
  }

  clock(process: ProcessId): Promise<ScheduleClock> {
    return Promise.reject(this.#notHere(process))
  }

  process(process: ProcessId): Promise<DataItem> {
    return Promise.reject(this.#notHere(process))
  }

  // biome-ignore lint/correctness/useYield: it never comes to that
  async *read(process: ProcessId): AsyncIterable<ScheduledMessage> {
    throw this.#notHere(process)
  }

  /** What it has just taken. */
  async #shown(process: ProcessId, at: MessageId, options: AbortOptions): Promise<Assignment> {
    for (const pause of looks) {
      try {
        return await this.assignment(process, at, options)
      } catch (error) {
        if (!hasCode(error, 'UNKNOWN_MESSAGE', 'UNKNOWN_PROCESS')) throw error
        await sleep(pause, options)
      }
    }
    return this.assignment(process, at, options)
  }

  async #read(process: ProcessId, at: MessageId | Nonce | 'newest', options: AbortOptions): Promise<Assignment> {
    const range = typeof at === 'number' ? `&from-nonce=${at - 1}&to-nonce=${at}&limit=1` : ''
    const name = at === 'newest' ? `${process}/latest` : typeof at === 'number' ? process : at
    // A Process's own id asks for its whole schedule: its Assignment is the first of that.
    const isFirst = at === (process as Id as MessageId)
    const answer = await this.#ask(`/${name}?process-id=${process}${isFirst ? '&limit=1' : range}`, options)
    if (answer.status >= 300) throw this.#unknown(answer, { process, at })
    const node =
      typeof at === 'number' || isFirst
        ? this.#parsed(shownPage, answer).edges[0]?.node
        : this.#parsed(shownNode, answer)
    if (node === undefined) throw this.#unknown(answer, { process, at })
    const { id, ...shown } = node.assignment
    return parseAssignment(await rebuildItem(parseId(id), shown, new Uint8Array(0)))
  }

  async #ask(path: string, { signal, body }: AbortOptions & { readonly body?: Uint8Array }): Promise<ForeignAnswer> {
    try {
      const maxBytes = body === undefined ? maxShownBytes : maxNoteBytes
      const answer = await this.#http.ask(`${this.url}${path}`, { signal, body, maxBytes })
      if (answer.status >= 500) this.#place.onUnreachable?.()
      return answer
    } catch (error) {
      if (signal?.aborted !== true) this.#place.onUnreachable?.()
      const { code, message, facts, hint } = AoError.from(error)
      throw new AoError(code, message, { ...facts, scheduler: this.#place.address }, { cause: error, hint })
    }
  }

  #parsed<T>(schema: z.ZodType<T>, answer: ForeignAnswer): T {
    try {
      return schema.parse(JSON.parse(answer.text))
    } catch (cause) {
      const facts = { scheduler: this.#place.address, url: this.url, status: answer.status }
      const hint = 'See that its Scheduler-Location names the SU itself.'
      throw new AoError('PEER_UNREACHABLE', 'no SU answers at the Url of another network', facts, { cause, hint })
    }
  }

  #refusal(answer: ForeignAnswer): AoError {
    return refusal(answer, { scheduler: this.#place.address, url: this.url })
  }

  /** Reference SUs answer 400 for what is not there. */
  #unknown(answer: ForeignAnswer, { process, at }: { process: ProcessId; at: MessageId | Nonce | 'newest' }): AoError {
    if (answer.status >= 500 || answer.status === 429) return this.#refusal(answer)
    return new AoError('UNKNOWN_MESSAGE', 'the SU of another network does not show this message', {
      ...{ process, at, url: this.url, status: answer.status },
    })
  }

  #notHere(process: ProcessId): AoError {
    return new AoError(
      'UNSUPPORTED',
      'the Process is of another network: its schedule is not read here, and nobody here evaluates it',
      { process, scheduler: this.#place.address, url: this.url },
      { hint: `Ask its SU at ${this.url}, and a CU of its network.` },
    )
  }
}

import type { AbortOptions } from '../lib/abort.ts'
import { AoError, type ErrorCode, type ErrorFacts, isErrorCode } from '../lib/errors.ts'
import type { ProcessId } from '../protocol/ids.ts'
import type { OutboxMessage } from '../protocol/result.ts'
import { type Tag, tagValue } from '../protocol/tags.ts'
import type { Client } from './client.ts'

export type Fields = Readonly<Record<string, string | undefined>>

/** What somebody does with the token and the stakes: actions of AO-Sec Origin, and questions to it. */
export class OriginClient {
  readonly #client: Client
  readonly process: ProcessId

  constructor(client: Client, process: ProcessId) {
    this.#client = client
    this.process = process
  }

  /**
   * Sends an action and waits for what became of it.
   *
   * @returns the notices that it sent out.
   * @throws AoError with the code and the words of the refusal.
   */
  async act(
    action: string,
    fields: Fields = {},
    options: AbortOptions & { data?: string } = {},
  ): Promise<readonly OutboxMessage[]> {
    const { data, ...abort } = options
    const message = { tags: tagsFor(action, fields), ...(data === undefined ? {} : { data }) }
    const assignment = await this.#client.send(this.process, message, abort)
    const { result } = await this.#client.result(this.process, assignment.message, abort)
    if (result.error !== undefined) throw new AoError('INTERNAL', `AO-Sec Origin failed: ${result.error}`)
    const { messages } = result.outbox
    const refusal = messages.find(({ tags }) => tagValue(tags, 'Action') === `${action}-Error`)
    if (refusal !== undefined) throw refused(refusal)
    return messages
  }

  /** Asks without signing anything. @returns the answer's Data. */
  async ask(action: string, fields: Fields = {}, options: AbortOptions = {}): Promise<string> {
    const { outbox, error } = await this.#client.dryRun(
      this.process,
      { tags: tagsFor(action, fields), data: '' },
      options,
    )
    if (error !== undefined) throw new AoError('INTERNAL', `AO-Sec Origin failed: ${error}`)
    const [answer] = outbox.messages
    if (answer === undefined) throw new AoError('INTERNAL', 'AO-Sec Origin gave no answer', { action })
    if (tagValue(answer.tags, 'Action')?.endsWith('-Error')) throw refused(answer)
    return answer.data
  }
}

/** The value of a tag in the first message that has one of these actions. */
export const noticeValue = (messages: readonly OutboxMessage[], action: string, tag: string): string | undefined =>
  tagValue(messages.find(({ tags }) => tagValue(tags, 'Action') === action)?.tags ?? [], tag)

const tagsFor = (action: string, fields: Fields): readonly Tag[] => [
  { name: 'Action', value: action },
  ...Object.entries(fields).flatMap(([name, value]) => (value === undefined ? [] : [{ name, value }])),
]

function refused({ tags, data }: OutboxMessage): AoError {
  const code = tagValue(tags, 'Code') ?? ''
  const known: ErrorCode = isErrorCode(code) ? code : 'NOT_ALLOWED'
  const message = data === '' ? 'AO-Sec Origin refused' : data
  return new AoError(known, message, factsOf(tagValue(tags, 'Facts')), { hint: tagValue(tags, 'Hint') })
}

/** What it tells beside the words; nothing where that cannot be read. */
function factsOf(text = '{}'): ErrorFacts {
  try {
    const facts: unknown = JSON.parse(text)
    const known = Object.entries(facts ?? {}).filter(([, value]) =>
      ['string', 'number', 'boolean'].includes(typeof value),
    )
    return Object.fromEntries(known) as ErrorFacts
  } catch {
    return {}
  }
}

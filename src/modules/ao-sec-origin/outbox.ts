import { type Tag, tagsOf } from '../../protocol/tags.ts'

/** What AO calls the outbox of a message, and its Output. */
export interface OriginResult {
  readonly Messages: readonly OutMessage[]
  readonly Spawns: readonly never[]
  readonly Assignments: readonly never[]
  readonly Output: string
}
export interface OutMessage {
  readonly Target: string
  readonly Anchor: string
  readonly Data: string
  readonly Tags: readonly Tag[]
}

/** Collects what one message sends. */
export class Outbox {
  readonly #messages: OutMessage[] = []
  readonly #id: string
  #output = ''

  /** @param id of the message that is answered. */
  constructor(id: string) {
    this.#id = id
  }

  send(
    target: string,
    action: string,
    fields: Readonly<Record<string, string | undefined>>,
    { data = '', forward = [] }: { data?: string; forward?: readonly Tag[] } = {},
  ): void {
    this.#messages.push({
      Target: target,
      Anchor: String(this.#messages.length).padStart(32, '0'),
      Data: data,
      Tags: [
        ...tagsOf(
          ['Data-Protocol', 'ao'],
          ['Variant', 'ao.TN.1'],
          ['Type', 'Message'],
          ['Reference', `${this.#id}:${this.#messages.length}`],
          ['Action', action],
          ...Object.entries(fields),
        ),
        ...forward,
      ],
    })
  }

  /** What dry-runs and readers of results see first. */
  set output(text: string) {
    this.#output = text
  }

  result(): OriginResult {
    return { Messages: this.#messages, Spawns: [], Assignments: [], Output: this.#output }
  }
}

import { type LateSignal, lateSignal } from '../../lib/abort.ts'
import { AoError } from '../../lib/errors.ts'
import { grouped } from './gathering.ts'
import type { Listening } from './listening.ts'
import type { Exchange } from './server-exchange.ts'
import { toDetailBytes } from './status.ts'

interface Request<Req> {
  readonly tag: number
  readonly more: readonly Req[]
  readonly takesMore: boolean
}
interface Refusal {
  readonly $case: 'error'
  readonly value: Uint8Array
}
interface Response<Outcome, Res> {
  tag: number
  outcome?: Outcome | Refusal | undefined
  more: Res[]
  takesMore: boolean
}

export interface Tagged<Outcome, Req> {
  /** Whether the request only says that nobody waits for its tag any more. */
  readonly isEmpty: (request: Req) => boolean
  /** May throw: the caller hears it as the error of that tag. */
  readonly answer: (request: Req, options: Listening) => Promise<Outcome>
  readonly bytesOf: (outcome: Outcome | Refusal | undefined) => number
}

/**
 * How a service answers tagged questions on a stream, several in one message where the other side has said that it sees
 * them. Gives one Exchange for each stream.
 */
export const tagged =
  <Outcome, Req extends Request<Req>, Res extends Response<Outcome, Res>>({
    isEmpty,
    answer,
    bytesOf,
  }: Tagged<Outcome, Req>): (() => Exchange<Req, Res>) =>
  () => {
    const asked = new Asked()
    const respond = ({ tag }: Req, outcome: Outcome | Refusal): Res =>
      ({ tag, outcome, more: [], takesMore: true }) as unknown as Res
    return {
      requestsIn,
      run: async (request, stream) => {
        const { tag } = request
        if (isEmpty(request)) return asked.giveUp(tag)
        const ending = asked.begin(tag, stream)
        try {
          return respond(request, await answer(request, ending.options))
        } catch (error) {
          return respond(request, { $case: 'error', value: toDetailBytes(error) })
        } finally {
          asked.end(tag, ending)
        }
      },
      join: (answers, { takesMore }) =>
        takesMore
          ? grouped(answers, ({ outcome }) => bytesOf(outcome)).map(([first, ...more]) => ({ ...first, more }))
          : answers,
    }
  }

/** The questions of one stream that are being answered, each with a signal of its own that the stream's fires too. */
class Asked {
  readonly #open = new Map<number, LateSignal>()
  #listening = false

  begin(tag: number, { signal }: Listening): LateSignal {
    const ending = lateSignal()
    if (signal.aborted) ending.abort(signal.reason)
    this.#open.set(tag, ending)
    if (!this.#listening) signal.addEventListener('abort', () => this.#giveUpAll(signal.reason), { once: true })
    this.#listening = true
    return ending
  }

  end(tag: number, ending: LateSignal): void {
    if (this.#open.get(tag) === ending) this.#open.delete(tag)
  }

  giveUp(tag: number): undefined {
    this.#open.get(tag)?.abort(new AoError('ABORTED', 'the caller gave up waiting'))
    return undefined
  }

  #giveUpAll(reason: unknown): void {
    for (const ending of this.#open.values()) ending.abort(reason)
  }
}

function requestsIn<Req extends Request<Req>>(request: Req): readonly Req[] {
  const { more } = request
  if (more.length === 0) return [request]
  if (more.length < maxTogether) return [request, ...more]
  throw new AoError('TOO_LARGE', 'too many questions in one message', { questions: more.length, max: maxTogether })
}

/** Some more than our own nodes put into one message. */
const maxTogether = 256

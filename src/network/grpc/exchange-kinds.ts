import type { MethodDefinition } from '@grpc/grpc-js'
import type { ChannelPool } from './channel-pool.ts'
import { type Carrier, unaryCall } from './client-calls.ts'
import {
  type ExchangeKind,
  type ExchangeOptions,
  type Exchanger,
  ExchangeStreams,
  type Told,
} from './exchange-streams.ts'
import { maxStreamedBytes } from './gathering.ts'
import {
  ComputeService,
  type GetResultRequest,
  type GetResultResponse,
  type ResultStreamRequest,
  type ResultStreamResponse,
} from './generated/ao/v1/compute.ts'
import { MessengerService } from './generated/ao/v1/messenger.ts'
import {
  SchedulerService,
  type ScheduleStreamRequest,
  type ScheduleStreamResponse,
} from './generated/ao/v1/scheduler.ts'
import { WebCalls } from './web-calls.ts'

/** A signed item, and the signed bytes of its Assignment. */
type Submits = Exchanger<Uint8Array, Uint8Array>
type Results = Exchanger<GetResultRequest, GetResultResponse>

/** What is asked so often that a call for each would cost more than the answer. */
export interface UnitExchanges {
  readonly schedule: Submits
  readonly submit: Submits
  readonly result: Results
}

export const defaultExchanges: ExchangeOptions = {
  maxPending: 10_000,
  idleMs: 10_000,
}

/** Streams where they are possible; HTTP carries none upwards, so there each question is a call of its own. */
export function unitExchanges(pool: Carrier, options: ExchangeOptions = defaultExchanges): UnitExchanges {
  const schedule: Submits = {
    ask: async (peer, item, call) =>
      (await unaryCall(pool, peer, SchedulerService.schedule, { item }, call)).assignment,
  }
  const submit: Submits = {
    ask: async (peer, item, call) => (await unaryCall(pool, peer, MessengerService.submit, { item }, call)).assignment,
  }
  const result: Results = {
    ask: (peer, question, call) => unaryCall(pool, peer, ComputeService.getResult, question, call),
  }
  if (pool instanceof WebCalls) return { schedule, submit, result }
  return {
    schedule: smallOnes(scheduleStreams(pool, options), schedule),
    submit: smallOnes(new ExchangeStreams(pool, itemKind(MessengerService.submitStream), options), submit),
    result: wholeOnes(new ExchangeStreams(pool, resultKind, options), result),
  }
}

export const scheduleStreams = (pool: ChannelPool, options: ExchangeOptions): Submits =>
  new ExchangeStreams(pool, itemKind(SchedulerService.scheduleStream), options)

const smallOnes = (streams: Submits, calls: Submits): Submits => ({
  ask: (peer, item, call) => (item.length <= maxStreamedBytes ? streams : calls).ask(peer, item, call),
})

const wholeOnes = (streams: Exchanger<GetResultRequest, GetResultResponse | Apart>, calls: Results): Results => ({
  ask: async (peer, question, call) => {
    const answer = await streams.ask(peer, question, call)
    return answer === apart ? calls.ask(peer, question, call) : answer
  },
})

/** Instead of an answer that is too large for a stream. */
const apart = 'apart'
type Apart = typeof apart

const itemKind = (
  method: MethodDefinition<ScheduleStreamRequest, ScheduleStreamResponse>,
): ExchangeKind<Uint8Array, Uint8Array, ScheduleStreamRequest, ScheduleStreamResponse> => ({
  method,
  bytesOf: item => item?.length ?? 0,
  request: (...ready) =>
    together(
      ready.map(({ tag, ask }): ScheduleStreamRequest => ({ tag, item: ask ?? noItem, more: [], takesMore: true })),
    ),
  told: message => ({ takesMore: message.takesMore, all: [message, ...message.more].map(toldOfItem) }),
})

const noItem = new Uint8Array(0)
const toldOfItem = ({ tag, outcome }: ScheduleStreamResponse): Told<Uint8Array> =>
  outcome?.$case === 'assignment'
    ? { tag, answer: Buffer.from(outcome.value) } // a copy: it came as a view of the frame
    : { tag, error: outcome?.value }

/** A question is short. */
const questionBytes = 128

const resultKind: ExchangeKind<GetResultRequest, GetResultResponse | Apart, ResultStreamRequest, ResultStreamResponse> =
  {
    method: ComputeService.resultStream,
    bytesOf: () => questionBytes,
    request: (...ready) =>
      together(
        ready.map(
          ({ tag, ask }): ResultStreamRequest => ({
            tag,
            question: ask,
            more: [],
            takesMore: true,
            takesApart: true,
          }),
        ),
      ),
    told: message => ({ takesMore: message.takesMore, all: [message, ...message.more].map(toldOfResult) }),
  }

function toldOfResult({ tag, outcome }: ResultStreamResponse): Told<GetResultResponse | Apart> {
  if (outcome?.$case === 'answer') return { tag, answer: outcome.value }
  return outcome?.$case === 'apart' ? { tag, answer: apart } : { tag, error: outcome?.value }
}

/** As one message: the first of them carries the others. */
function together<Req extends { readonly more: Req[] }>(all: readonly Req[]): Req {
  const [first, ...more] = all as readonly [Req, ...Req[]]
  return { ...first, more }
}

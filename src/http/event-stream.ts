import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { FastifyReply } from 'fastify'
import { AoError } from '../lib/errors.ts'
import type { Json } from '../lib/json.ts'
import { httpFailure } from './http-status.ts'

/** One server-sent event. Whoever reconnects names the `id` of the last one it has. */
export interface LiveEvent {
  readonly id: string
  readonly data: Json
}
export interface EventStreamLimits {
  /** Streams open at once. */
  readonly maxStreams: number
  /** A reader that takes nothing for so long is let go, in milliseconds. */
  readonly stallMs: number
  /** Between signs of life, in milliseconds. */
  readonly keepAliveMs: number
}
export const defaultEventStreamLimits: EventStreamLimits = {
  maxStreams: 1_000,
  stallMs: 30_000,
  keepAliveMs: 15_000,
}

/** Server-sent events of a node: bounded in number, each written no faster than it is read, each ended with a code. */
export class EventStreams {
  readonly #limits: EventStreamLimits
  #open = 0

  constructor(limits: EventStreamLimits = defaultEventStreamLimits) {
    this.#limits = limits
  }

  /** Sends what `source` gives until it ends or the reader goes. @throws AoError `OVERLOADED` if too many are open. */
  async send(reply: FastifyReply, source: (signal: AbortSignal) => AsyncIterable<LiveEvent>): Promise<void> {
    const { maxStreams: limit } = this.#limits
    if (this.#open >= limit) {
      throw new AoError('OVERLOADED', 'too many streams are open', { limit }, { hint: 'Ask another node, or poll.' })
    }
    this.#open++
    try {
      await this.#run(reply, source)
    } finally {
      this.#open--
    }
  }

  async #run(reply: FastifyReply, source: (signal: AbortSignal) => AsyncIterable<LiveEvent>): Promise<void> {
    const { stallMs, keepAliveMs } = this.#limits
    const { raw } = reply
    const gone = new AbortController()
    raw.once('close', () => gone.abort())
    const headers = { ...reply.getHeaders(), 'content-type': 'text/event-stream', 'cache-control': 'no-store' }
    reply.hijack()
    raw.writeHead(200, headers as Record<string, string>)
    raw.write(': open\n\n')
    const alive = setInterval(() => raw.write(': alive\n\n'), keepAliveMs)
    try {
      for await (const { id, data } of source(gone.signal)) {
        if (raw.write(`id: ${id}\ndata: ${JSON.stringify(data)}\n\n`)) continue
        await once(raw, 'drain', { signal: AbortSignal.any([gone.signal, AbortSignal.timeout(stallMs)]) }).catch(() => {
          throw new AoError('OVERLOADED', 'the reader is too slow', { stallMs }, { hint: 'Go on from the last event.' })
        })
      }
    } catch (error) {
      if (!gone.signal.aborted) raw.write(`event: end\ndata: ${JSON.stringify(httpFailure(error).body)}\n\n`)
    } finally {
      clearInterval(alive)
      await closed(raw, stallMs)
    }
  }
}

/** Ends a response, and its connection if the reader does not take the rest in time. */
async function closed(raw: ServerResponse, stallMs: number): Promise<void> {
  if (raw.closed) return
  const late = setTimeout(() => raw.destroy(), stallMs)
  const gone = once(raw, 'close')
  raw.end()
  await gone
  clearTimeout(late)
}

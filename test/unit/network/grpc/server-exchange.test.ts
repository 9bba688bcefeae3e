import assert from 'node:assert/strict'
import { Duplex } from 'node:stream'
import type { ServerDuplexStream } from '@grpc/grpc-js'
import { AoError } from '../../../../src/lib/errors.ts'
import { type Exchange, ServerExchange } from '../../../../src/network/grpc/server-exchange.ts'

const limit = 5

/** A stream whose reader takes an answer when it is told to. */
class SlowCall extends Duplex {
  readonly heard: number[] = []
  #next: (() => void) | undefined
  #held = true

  constructor() {
    super({ objectMode: true })
  }

  override _read(): void {}

  override _write(answer: number, _encoding: string, done: () => void): void {
    this.heard.push(answer)
    if (this.#held) this.#next = done
    else done()
  }

  readOn(): void {
    this.#held = false
    this.#next?.()
  }
}

describe('network/grpc/server-exchange', () => {
  let call: SlowCall
  let begun: number[]
  let open: () => void
  let gate: Promise<void>
  let stop: AbortController
  let cut: AbortController
  beforeEach(() => {
    call = new SlowCall()
    begun = []
    gate = new Promise(resolve => {
      open = resolve
    })
    stop = new AbortController()
    cut = new AbortController()
  })
  const work: Exchange<number | readonly number[], number> = {
    requestsIn: message => (typeof message === 'number' ? [message] : message),
    run: async request => {
      begun.push(request as number)
      await gate
      return (request as number) < 0 ? undefined : (request as number)
    },
    join: answers => answers,
  }
  const run = (): Promise<void> => {
    const stream = call as unknown as ServerDuplexStream<number | readonly number[], number>
    return new ServerExchange(stream, limit, { work, signal: cut.signal, intake: stop.signal }).run()
  }
  const turns = (): Promise<void> => new Promise(resolve => setTimeout(resolve, 20))
  const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i)

  it('works on no more at once than its limit, also of what comes in one message', async () => {
    const over = run()
    call.push(numbers(12))
    await turns()
    assert.equal(begun.length, limit)
    open()
    call.readOn()
    call.push(null)
    await over
    assert.deepEqual(call.heard, numbers(12))
    assert.ok(call.writableEnded)
  })

  it('goes no further than its answers are read, and answers all in the end', async () => {
    open()
    const over = run()
    for (const request of numbers(200)) call.push(request)
    call.push(null)
    await turns()
    assert.ok(begun.length <= limit + call.writableHighWaterMark + 1, `${begun.length} begun`)
    call.readOn()
    await over
    assert.deepEqual(call.heard, numbers(200))
  })

  it('forgets a request that needs no answer', async () => {
    open()
    call.readOn()
    const over = run()
    for (let i = 0; i < 20; i++) call.push([-1, i])
    call.push(null)
    await over
    assert.deepEqual(call.heard, numbers(20))
  })

  it('takes nothing more when it is to stop, answers what it has taken, and then says why', async () => {
    call.readOn()
    const over = run()
    call.push(numbers(8))
    await turns()
    stop.abort(new AoError('STOPPING', 'the node is shutting down'))
    call.push(8)
    await turns()
    assert.equal(begun.length, limit)
    open()
    await assert.rejects(over, { code: 'STOPPING' })
    assert.deepEqual(call.heard, numbers(8))
    assert.ok(!call.writableEnded, 'the status is for its caller to send')
  })

  it('ends at once when it is cut, and writes no more', async () => {
    const over = run()
    call.push(1)
    await turns()
    cut.abort(new AoError('ABORTED', 'the caller is gone'))
    await assert.rejects(over, { code: 'ABORTED' })
    open()
    await turns()
    assert.deepEqual(call.heard, [])
  })

  it('ends with what is wrong with a request', async () => {
    const wrong: typeof work = {
      ...work,
      requestsIn: () => {
        throw new AoError('TOO_LARGE', 'too many questions in one message')
      },
    }
    const stream = call as unknown as ServerDuplexStream<number, number>
    const signals = { signal: cut.signal, intake: stop.signal }
    const over = new ServerExchange(stream, limit, { work: wrong as Exchange<number, number>, ...signals }).run()
    call.push(1)
    await assert.rejects(over, { code: 'TOO_LARGE' })
  })
})

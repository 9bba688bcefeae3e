import assert from 'node:assert/strict'
import { defaultEventStreamLimits } from '../../../src/http/event-stream.ts'
import type { DataItem } from '../../../src/protocol/data-item.ts'
import { aMessage, processIdOf } from '../../support/builders.ts'
import { HttpBench, refusal } from './http-bench.ts'

describe('http: live push', () => {
  let bench: HttpBench
  let item: DataItem
  const open: AbortController[] = []
  before(async () => {
    bench = await HttpBench.start({ streams: { ...defaultEventStreamLimits, maxStreams: 2 } })
    item = await bench.net.spawn(bench.node, 'recorder')
  })
  afterEach(() => {
    for (const controller of open.splice(0)) controller.abort()
  })
  after(() => bench.stop())

  const send = async (data: string): Promise<void> => {
    await bench.node.messenger.submit((await aMessage(item, { data })).raw)
  }
  /** Gives the next events of a stream, each as its id and its data. */
  const listen = async (path: string, last?: string) => {
    const controller = new AbortController()
    open.push(controller)
    const headers: Record<string, string> = last === undefined ? {} : { 'last-event-id': last }
    const answer = await bench.get(`${path}/${processIdOf(item)}`, { headers, signal: controller.signal })
    assert.match(String(answer.headers.get('content-type')), /event-stream/)
    const reader = answer.body?.getReader()
    let text = ''
    return async (): Promise<{ id: string; data: Record<string, unknown> }> => {
      for (;;) {
        const event = /(?:^|\n)id: (.*)\ndata: (.*)\n\n/.exec(text)
        if (event !== null) {
          text = text.slice(event.index + event[0].length)
          return { id: event[1] ?? '', data: JSON.parse(event[2] ?? '') as Record<string, unknown> }
        }
        const chunk = await reader?.read()
        if (chunk === undefined || chunk.done) throw new Error(`the stream ended: ${text}`)
        text += Buffer.from(chunk.value).toString()
      }
    }
  }

  it('tells of each row of a schedule as it comes, and goes on after the last one a reader has', async () => {
    const next = await listen('/su/stream')
    await send('one')
    await send('two')
    const [first, second] = [await next(), await next()]
    assert.deepEqual([first.id, second.id].map(Number), [Number(first.id), Number(first.id) + 1])
    assert.equal((first.data['message'] as { data: string }).data, 'one')
    const again = await listen('/su/stream', first.id)
    assert.deepEqual(await again(), second)
  })

  it('tells of each result as it comes, and goes on after a cursor', async () => {
    const next = await listen('/cu/stream')
    await send('three')
    await send('four')
    const [first, second] = [await next(), await next()]
    const seen = ({ data }: typeof first): unknown =>
      (data['node'] as { Output: { seen: string[] } }).Output.seen.at(-1)
    assert.deepEqual([seen(first), seen(second)], ['three', 'four'])
    const again = await listen('/cu/stream', first.id)
    assert.deepEqual(await again(), second)
  })

  it('opens no more streams than it may, and says so', async () => {
    await Promise.all([listen('/su/stream'), listen('/cu/stream')])
    const refused = await refusal(await bench.get(`/su/stream/${processIdOf(item)}`))
    assert.deepEqual([refused.status, refused.code], [429, 'OVERLOADED'])
  })
})

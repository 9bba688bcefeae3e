import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { AoError } from '../../../../src/lib/errors.ts'
import { StreamWriter } from '../../../../src/network/grpc/stream-writer.ts'

class NarrowSink extends EventEmitter {
  readonly taken: string[] = []
  write(row: string): boolean {
    this.taken.push(row)
    return this.taken.length % 2 === 1
  }
}

describe('network/grpc/stream-writer', () => {
  it('waits once the stream is full, and goes on when it has drained', async () => {
    const sink = new NarrowSink()
    const writer = new StreamWriter<string>(sink, new AbortController())
    await writer.write('a')
    let done = false
    const full = writer.write('b').then(() => {
      done = true
    })
    await Promise.resolve()
    assert.equal(done, false)
    sink.emit('drain')
    await full
    assert.deepEqual(sink.taken, ['a', 'b'])
  })

  it('lets many wait with one listener, and none longer than the signal', async () => {
    const sink = new NarrowSink()
    const cancel = new AbortController()
    const writer = new StreamWriter<string>({ ...bound(sink), write: () => false }, cancel)
    const waiting = Array.from({ length: 30 }, () => writer.write('x'))
    assert.equal(sink.listenerCount('drain'), 1)
    cancel.abort(new AoError('STOPPING', 'over'))
    for (const each of waiting) await assert.rejects(each, { code: 'STOPPING' })
    assert.equal(sink.listenerCount('drain'), 0)
    await assert.rejects(writer.write('late'), { code: 'STOPPING' })
  })
})

const bound = (sink: NarrowSink) => ({ once: sink.once.bind(sink), off: sink.off.bind(sink) })

import assert from 'node:assert/strict'
import { mapAhead } from '../../../src/lib/map-ahead.ts'
import { eventually } from '../../support/eventually.ts'

const limits = { entries: 4, bytes: 100 }
const options = { limits, bytesOf: (size: number) => size }

async function* from(entries: readonly number[], read: number[] = []): AsyncGenerator<number> {
  for (const entry of entries) {
    read.push(entry)
    yield entry
  }
}

describe('lib/map ahead', () => {
  it('gives all results in their order, whichever is ready first', async () => {
    const entries = Array.from({ length: 30 }, (_, i) => i)
    const late = (entry: number): Promise<string> =>
      new Promise(resolve => setTimeout(resolve, entry % 3 === 0 ? 5 : 0, `${entry}`))
    const given: string[] = []
    for await (const one of mapAhead(from(entries), late, options)) given.push(one)
    assert.deepEqual(given, entries.map(String))
  })

  it('works on as many as the limits allow, and on no more until the reader has taken one', async () => {
    const begun: number[] = []
    const work = async (entry: number): Promise<number> => begun.push(entry)
    for (const [size, expected] of [
      [1, 4],
      [40, 3], // the third goes over the bytes
      [1000, 1],
    ] as const) {
      begun.length = 0
      const results = mapAhead(from(Array.from({ length: 20 }, () => size)), work, options)
      await results.next()
      await new Promise(resolve => setImmediate(resolve))
      assert.ok(begun.length <= expected + 1, `${begun.length} of ${size} bytes`)
      for (let i = 1; i < 3; i++) await results.next()
      assert.ok(
        begun.length <= expected + 3 && begun.length >= Math.min(expected, 3),
        `${begun.length} of ${size} bytes`,
      )
      await results.return(undefined)
    }
  })

  it('has several under way at once', async () => {
    let open = 0
    let most = 0
    const work = async (): Promise<void> => {
      most = Math.max(most, ++open)
      await new Promise(resolve => setTimeout(resolve, 2))
      open--
    }
    for await (const _ of mapAhead(from(Array.from({ length: 12 }, () => 1)), work, options));
    assert.equal(most, limits.entries)
  })

  it('gives what has come although nothing follows, and lets a reader go who leaves while nothing comes', async () => {
    let returned = false
    const source: AsyncIterable<number> = {
      [Symbol.asyncIterator]: () => {
        let count = 0
        return {
          next: async () => (count++ === 0 ? { done: false, value: 7 } : new Promise(() => undefined)),
          return: async () => {
            returned = true
            return { done: true, value: undefined }
          },
        }
      },
    }
    for await (const one of mapAhead(source, async entry => entry, options)) {
      assert.equal(one, 7)
      break
    }
    await eventually('the source to be left', () => returned)
  })

  it('fails where the work or the source fails, after what came before', async () => {
    const broken = async (entry: number): Promise<number> => {
      if (entry === 3) throw new Error('no')
      return entry
    }
    async function* breaks(): AsyncGenerator<number> {
      yield* from([1, 2])
      throw new Error('gone')
    }
    for (const [source, message] of [
      [from([1, 2, 3, 4]), 'no'],
      [breaks(), 'gone'],
    ] as const) {
      const given: number[] = []
      const reading = (async () => {
        for await (const one of mapAhead(source, broken, options)) given.push(one)
      })()
      await assert.rejects(reading, { message })
      assert.deepEqual(given, [1, 2])
    }
  })
})

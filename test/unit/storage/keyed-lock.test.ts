import assert from 'node:assert/strict'
import { KeyedLock } from '../../../src/storage/keyed-lock.ts'

describe('storage/keyed-lock', () => {
  it('serves callers of one key one at a time and in the order they came', async () => {
    const lock = new KeyedLock()
    const seen: string[] = []
    const work = (name: string) => async () => {
      seen.push(`${name} in`)
      await Promise.resolve()
      seen.push(`${name} out`)
    }
    await Promise.all([lock.run(['k'], work('a')), lock.run(['k', 'l'], work('b')), lock.run(['l'], work('c'))])
    assert.deepEqual(seen, ['a in', 'a out', 'b in', 'b out', 'c in', 'c out'])
  })

  it('lets callers of other keys go side by side', async () => {
    const lock = new KeyedLock()
    let release: () => void = () => undefined
    const held = lock.run(
      ['a'],
      () =>
        new Promise<void>(resolve => {
          release = resolve
        }),
    )
    assert.equal(await lock.run(['b'], async () => 'done'), 'done')
    release()
    await held
  })

  it('never waits for itself: crossed and repeated keys all finish', async () => {
    const lock = new KeyedLock()
    const keys = [['a', 'b'], ['b', 'a'], ['a', 'a'], ['b', 'c', 'a'], []]
    const done = await Promise.all(keys.map(async (own, i) => lock.run(own, async () => i)))
    assert.deepEqual(done, [0, 1, 2, 3, 4])
  })

  it('lets the next go when one fails', async () => {
    const lock = new KeyedLock()
    const failed = lock.run(['a'], () => Promise.reject(new Error('no')))
    const next = lock.run(['a'], async () => 'yes')
    await assert.rejects(failed, /no/)
    assert.equal(await next, 'yes')
  })

  it('refuses with OVERLOADED when ten thousand wait', async () => {
    const lock = new KeyedLock()
    let release: () => void = () => undefined
    const held = lock.run(
      ['a'],
      () =>
        new Promise<void>(resolve => {
          release = resolve
        }),
    )
    const waiting = Array.from({ length: 9_999 }, () => lock.run(['a'], async () => undefined))
    await assert.rejects(
      lock.run(['a'], async () => undefined),
      { code: 'OVERLOADED' },
    )
    release()
    await Promise.all([held, ...waiting])
    await lock.run(['a'], async () => undefined)
  })
})

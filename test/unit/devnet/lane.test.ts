import assert from 'node:assert/strict'
import { Lane } from '../../../src/devnet/lane.ts'

describe('devnet/lane', () => {
  it('runs one piece of work at a time, in order, also after a failure', async () => {
    const lane = new Lane()
    const seen: string[] = []
    const work = (name: string, fails = false) =>
      lane.run(async () => {
        seen.push(`${name} begins`)
        await new Promise(resolve => setImmediate(resolve))
        seen.push(`${name} ends`)
        if (fails) throw new Error(name)
        return name
      })
    const results = await Promise.allSettled([work('a'), work('b', true), work('c')])
    assert.deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    )
    assert.deepEqual(seen, ['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends'])
  })

  it('refuses a flood, and takes work again when it has passed', async () => {
    const lane = new Lane()
    let open = (): void => undefined
    const gate = new Promise<void>(resolve => {
      open = resolve
    })
    const accepted = Array.from({ length: 1000 }, () => lane.run(() => gate))
    await assert.rejects(
      lane.run(() => gate),
      { code: 'OVERLOADED' },
    )
    open()
    await Promise.all(accepted)
    assert.equal(await lane.run(async () => 'again'), 'again')
  })

  it('finishes accepted work when it closes, and refuses new work', async () => {
    const lane = new Lane()
    let done = false
    void lane.run(async () => {
      await new Promise(resolve => setImmediate(resolve))
      done = true
    })
    await lane.close()
    assert.equal(done, true)
    await assert.rejects(
      lane.run(async () => undefined),
      { code: 'STOPPING' },
    )
  })
})

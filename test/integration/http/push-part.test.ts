import assert from 'node:assert/strict'
import type { Nonce } from '../../../src/protocol/ids.ts'
import { aMessage, processIdOf } from '../../support/builders.ts'
import { eventually } from '../../support/eventually.ts'
import { puppet, to, unitMethods } from '../../support/push-bench.ts'
import { HttpBench, refusal } from './http-bench.ts'

describe('http: one part of an outbox', () => {
  it('is refused with Retry-After while another is under way, and then nothing is lost or pushed twice', async () => {
    let pushing = false
    let goOn: () => void = () => undefined
    const mayGoOn = new Promise<void>(resolve => {
      goOn = resolve
    })
    const bench = await HttpBench.start({
      scripts: { puppet },
      wrap: {
        scheduler: unit => ({
          ...unitMethods(unit),
          schedule: async (item, options) => {
            if (String(item.data) === 'first') {
              pushing = true
              await mayGoOn
            }
            return unit.schedule(item, options)
          },
        }),
      },
    })
    try {
      const { node, net } = bench
      const own = { authorities: [node.address], scheduler: node.address }
      const sender = await net.spawn(node, 'puppet', { name: 'sender', ...own })
      const target = processIdOf(await net.spawn(node, 'recorder', { name: 'target', ...own }))
      const outbox = { Messages: [to(target, 'first'), to(target, 'second')] }
      const { id } = await node.scheduler
        .schedule(await aMessage(sender, { data: JSON.stringify(outbox) }))
        .then(({ message }) => ({ id: message }))
      const push = (part: number): Promise<Response> =>
        bench.post(`/mu/push/${id}/${part}?process-id=${processIdOf(sender)}`, '')

      assert.equal((await push(0)).status, 202)
      await eventually('the first part to be under way', () => pushing)
      const refused = await push(1)
      assert.ok(Number(refused.headers.get('retry-after')) >= 1)
      const { status, code, hint } = await refusal(refused)
      assert.deepEqual([status, code, hint], [429, 'OVERLOADED', 'Ask again once that is done.'])
      assert.equal((await push(0)).status, 202) // the one under way may be asked for again

      goOn()
      const isQuiet = async (): Promise<boolean> => (await node.disk.queue.size()) === 0
      await eventually('the first part to be pushed', isQuiet)
      assert.equal((await push(1)).status, 202)
      await eventually('the second', isQuiet)
      const pushed: string[] = []
      for await (const { message } of node.scheduler.read(target, { from: 1 as Nonce }))
        pushed.push(String(message?.data))
      assert.deepEqual(pushed, ['first', 'second'])
      assert.deepEqual(bench.faults, [])
    } finally {
      goOn()
      await bench.stop()
    }
  })
})

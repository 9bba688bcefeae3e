import assert from 'node:assert/strict'
import { type Component, ComponentList } from '../../../src/lib/component.ts'

describe('lib/component', () => {
  const part = (name: string, told: string[], broken = ''): Component => ({
    name,
    async start() {
      if (broken === 'start') throw new Error(`${name} does not start`)
      told.push(`start ${name}`)
    },
    async stop() {
      told.push(`stop ${name}`)
      if (broken === 'stop') throw new Error(`${name} does not stop`)
    },
  })

  it('starts in order and stops in reverse, once', async () => {
    const told: string[] = []
    const list = new ComponentList('all', [part('a', told), part('b', told)])
    await list.start()
    await list.start()
    await list.stop()
    await list.stop()
    assert.deepEqual(told, ['start a', 'start b', 'stop b', 'stop a'])
  })

  it('stops what it had started when a later part does not start', async () => {
    const told: string[] = []
    const list = new ComponentList('all', [part('a', told), part('b', told, 'start'), part('c', told)])
    await assert.rejects(list.start(), /b does not start/)
    assert.deepEqual(told, ['start a', 'stop a'])
  })

  it('asks every part to stop even if one fails', async () => {
    const told: string[] = []
    const list = new ComponentList('all', [part('a', told), part('b', told, 'stop')])
    await list.start()
    await assert.rejects(list.stop(), /b does not stop/)
    assert.deepEqual(told, ['start a', 'start b', 'stop b', 'stop a'])
  })
})

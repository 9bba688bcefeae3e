import assert from 'node:assert/strict'
import { AoError } from '../../../src/lib/errors.ts'
import type { AttestedResult, Compute } from '../../../src/ports/units.ts'
import type { DataItem } from '../../../src/protocol/data-item.ts'
import type { MessageId, Nonce } from '../../../src/protocol/ids.ts'
import { aMessage, anId, processIdOf } from '../../support/builders.ts'
import { eventually } from '../../support/eventually.ts'
import { pushBench, to } from '../../support/push-bench.ts'
import type { UnitNode } from '../../support/unit-network.ts'

/** A CU whose answers about outboxes are on their way to the disk until the test says otherwise. */
class SlowDisk {
  asked = 0
  #end: { readonly resolve: () => void; readonly reject: (error: unknown) => void } | undefined

  readonly wrap = (unit: Compute): Compute => ({
    results: (...asked) => unit.results(...asked),
    dryRun: (...asked) => unit.dryRun(...asked),
    memory: (...asked) => unit.memory(...asked),
    result: async (process, at, options = {}): Promise<AttestedResult> => {
      const answer = await unit.result(process, at, options)
      if (options.unstored !== true || answer.result.nonce === 0 || this.asked > 0) return answer
      this.asked++
      const stored = new Promise<void>((resolve, reject) => {
        this.#end = { resolve, reject }
      })
      stored.catch(() => undefined)
      return { ...answer, stored }
    },
  })

  written(): void {
    this.#end?.resolve()
  }

  refused(): void {
    this.#end?.reject(new AoError('LOG_WRITE_FAILED', 'the disk refused to write'))
  }
}

describe('units/messenger: Results on their way to the disk', () => {
  const bench = pushBench()
  let disk: SlowDisk
  let all: UnitNode
  let sender: DataItem
  let target: DataItem

  beforeEach(async () => {
    disk = new SlowDisk()
    all = await bench.net.node('all', ['MU', 'SU', 'CU'], { wrap: { compute: disk.wrap } })
    const own = { scheduler: all.address, authorities: [all.address] }
    sender = await bench.net.spawn(all, 'puppet', { name: 'sender', ...own })
    target = await bench.net.spawn(all, 'recorder', { name: 'target', ...own })
  })

  const send = async (outbox: object): Promise<MessageId> => {
    const message = await aMessage(sender, { data: JSON.stringify(outbox) })
    await all.messenger.submit(message.raw)
    await eventually('the answer', async () => disk.asked > 0)
    return message.id
  }
  const ordered = async (item: DataItem): Promise<readonly string[]> => {
    const data: string[] = []
    for await (const { message } of all.scheduler.read(processIdOf(item), { from: 1 as Nonce }))
      data.push(String(message?.data))
    return data
  }
  const quiet = (): Promise<unknown> => eventually('quiet', async () => (await all.disk.queue.size()) === 0)

  it('pushes at once what its own SU orders, over the same store', async () => {
    await send({ Messages: [to(processIdOf(target), 'a'), to(processIdOf(target), 'b')] })
    await eventually('both', async () => (await ordered(target)).length === 2)
    assert.deepEqual(await ordered(target), ['a', 'b'])
    disk.written()
    await quiet()
  })

  it('waits for the disk before anybody else hears of it', async () => {
    const abroad = await bench.net.spawn(all, 'recorder', {
      name: 'abroad',
      scheduler: bench.su.address,
      authorities: [all.address],
    })
    const outboxes = [
      { Messages: [to(processIdOf(target), 'here'), to(processIdOf(abroad), 'abroad')] },
      { Messages: [to(anId('a wallet'), 'mail')] },
      { Messages: [to(processIdOf(target), 'assigned', [{ name: 'Assignments', value: anId('another') }])] },
      {
        Messages: [to(processIdOf(target), 'here')],
        Spawns: [to('', 'child', [{ name: 'Module', value: anId('module') }])],
      },
      {
        Messages: [to(processIdOf(target), 'here')],
        Assignments: [{ Message: sender.id, Processes: [processIdOf(target)] }],
      },
    ]
    for (const outbox of outboxes) {
      disk.asked = 0
      const before = await ordered(target)
      await send(outbox)
      await new Promise(resolve => setTimeout(resolve, 20))
      assert.deepEqual(await ordered(target), before, JSON.stringify(outbox))
      disk.written()
      await eventually('its job', async () => (await all.disk.queue.size()) === 0, 5_000)
    }
    assert.deepEqual(await ordered(abroad), ['abroad'])
  })

  it('pushes nothing of what the disk refused, and asks again', async () => {
    const abroad = await bench.net.spawn(all, 'recorder', {
      name: 'abroad',
      scheduler: bench.su.address,
      authorities: [all.address],
    })
    await send({ Messages: [to(processIdOf(abroad), 'once')] })
    disk.refused()
    await quiet()
    assert.deepEqual(await ordered(abroad), ['once'])
  })
})

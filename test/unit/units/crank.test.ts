import assert from 'node:assert/strict'
import type { Scheduler } from '../../../src/ports/units.ts'
import { tagValue } from '../../../src/protocol/tags.ts'
import { MemoryCrankQueue } from '../../../src/storage/memory.ts'
import { aMessage, processIdOf } from '../../support/builders.ts'
import { eventually } from '../../support/eventually.ts'
import { pushBench, to, unitMethods } from '../../support/push-bench.ts'
import { aScriptModule } from '../../support/script-vm.ts'
import type { Disk } from '../../support/unit-network.ts'

describe('units/messenger/crank', () => {
  const bench = pushBench()

  it('pushes each part exactly once, wherever a crash falls', async () => {
    const child = to('', 'child', [{ name: 'Module', value: (await aScriptModule('recorder')).id }])
    let boundaries = 0
    for (let cut = 1; ; cut++) {
      await bench.arrange({}, ` ${cut}`)
      await eventually('quiet', async () => (await bench.mu.disk.queue.size()) === 0)
      await bench.mu.stop()
      const power = new Power(cut)
      const dying = await bench.net.node('mu', ['MU'], {
        disk: power.disk(bench.mu.disk),
        wrap: { scheduler: power.scheduler },
      })
      const outbox = {
        Messages: [to(processIdOf(bench.target), 'a'), to(processIdOf(bench.target), 'b')],
        Spawns: [child],
      }
      const message = await aMessage(bench.sender, { data: JSON.stringify(outbox) })
      await dying.messenger.submit(message.raw).catch(() => undefined)
      await eventually('cut or done', async () => power.isCut || (await bench.mu.disk.queue.size()) === 0)
      await dying.stop()
      const finished = !power.isCut
      bench.mu = await bench.net.node('mu', ['MU'], { disk: bench.mu.disk })
      await bench.mu.messenger.submit(message.raw) // as a user does who got no answer
      const jobs = await bench.progressOf(message)
      const where = `cut at boundary ${cut}`
      assert.deepEqual(await bench.dataOf(bench.target), ['a', 'b'], where)
      const toSender = await bench.rowsOf(processIdOf(bench.sender))
      assert.deepEqual(
        toSender.map(({ tags }) => tagValue(tags, 'Action') ?? 'the message'),
        ['the message', 'Spawned'],
        where,
      )
      assert.ok(
        jobs.every(({ state }) => state === 'done'),
        where,
      )
      assert.equal(jobs.length, 5, where)
      await bench.mu.stop()
      boundaries = cut
      if (finished) break
    }
    assert.ok(boundaries > 20, `only ${boundaries} boundaries were cut`)
  }).timeout(60_000)
})

/** Lets so many effects of an MU happen, counting before and after each; then everything fails, as when the power is cut. */
class Power {
  #left: number

  constructor(left: number) {
    this.#left = left
  }

  get isCut(): boolean {
    return this.#left <= 0
  }

  readonly scheduler = (unit: Scheduler): Scheduler => ({
    ...unitMethods(unit),
    schedule: (message, options) => this.#effect(() => unit.schedule(message, options)),
  })

  disk(disk: Disk): Disk {
    const queue = new MemoryCrankQueue()
    const real = disk.queue
    queue.write = change => this.#effect(() => real.write(change))
    queue.get = async (process, message) => this.#whileOn(() => real.get(process, message))
    queue.open = async limit => this.#whileOn(() => real.open(limit))
    queue.ofRoot = async root => this.#whileOn(() => real.ofRoot(root))
    queue.size = async () => this.#whileOn(() => real.size())
    return { ...disk, queue }
  }

  async #effect<T>(happen: () => Promise<T>): Promise<T> {
    this.#spend()
    const done = await happen()
    this.#spend()
    return done
  }

  #whileOn<T>(read: () => T): T {
    if (this.isCut) throw new Error('the power is cut')
    return read()
  }

  #spend(): void {
    if (this.isCut || --this.#left === 0) throw new Error('the power is cut')
  }
}

import assert from 'node:assert/strict'
import type { DataItem } from '../../../src/protocol/data-item.ts'
import { tagsOf, tagValue } from '../../../src/protocol/tags.ts'
import { anId, processIdOf } from '../../support/builders.ts'
import { eventually } from '../../support/eventually.ts'
import { to } from '../../support/push-bench.ts'
import { recorder, type Script } from '../../support/script-vm.ts'
import { type Disk, UnitNetwork, type UnitNode } from '../../support/unit-network.ts'

/** Sends the time of each cron message to the Process that its own data names. */
const ticker: Script = (state, message, env) => {
  if (message['Cron'] !== true) return { state: message['Data'] ?? state, answer: {} }
  assert.equal(env.Process.Id, message['Target'])
  return { state, answer: { Messages: [to(String(state), String(message['Timestamp']))] } }
}

describe('units/messenger monitors', function () {
  this.timeout(30_000)
  let net: UnitNetwork
  let mu: UnitNode
  let target: DataItem
  let process: DataItem
  const quickly = { messenger: { monitorEveryMs: 50 } }
  beforeEach(async () => {
    net = new UnitNetwork({ ticker, recorder })
    await net.node('units', ['SU', 'CU'])
    mu = await net.node('mu', ['MU'], quickly)
    target = await net.spawn(mu, 'recorder', { name: 'target' })
    const tags = tagsOf(['Cron-Interval', '1-second'], ['Cron-Tag-Action', 'Tick'])
    process = await net.spawn(mu, 'ticker', { name: 'ticker', tags, data: processIdOf(target) })
  })
  afterEach(() => net.stop())

  const received = async (): Promise<DataItem[]> => {
    const rows: DataItem[] = []
    for await (const { message, assignment } of mu.scheduler.read(processIdOf(target), { from: 0 as never })) {
      if (message !== undefined && assignment.nonce > 0) rows.push(message)
    }
    return rows
  }
  const times = async (): Promise<number[]> => (await received()).map(({ data }) => Number(Buffer.from(data)))
  const ticks = (count: number): Promise<unknown> =>
    eventually(`${count} ticks`, async () => (await times()).length >= count || undefined, 15_000)

  it('pushes what each tick sends, once, with its place and for nobody', async () => {
    await mu.messenger.monitor(processIdOf(process))
    await assert.rejects(mu.messenger.monitor(processIdOf(process)), { code: 'INVALID_ARGUMENT' })
    await ticks(2)
    const [first] = await received()
    assert.ok(first)
    assert.match(tagValue(first.tags, 'From-Nonce') ?? '', /^0 [0-9]{13} [0-9]+ 0-1-second$/)
    assert.deepEqual(
      ['From-Process', 'Pushed-For'].map(name => tagValue(first.tags, name)),
      [processIdOf(process), undefined],
    )
    await mu.messenger.unmonitor(processIdOf(process))
    await assert.rejects(mu.messenger.unmonitor(processIdOf(process)), { message: 'Process monitor not found' })
  })

  it('loses no tick and pushes none twice over restarts of the MU, whatever of a page was written', async () => {
    await mu.messenger.monitor(processIdOf(process))
    await ticks(1)
    let disk: Disk = mu.disk
    for (let restart = 0; restart < 3; restart++) {
      const before = await disk.monitors.all()
      await ticks((await times()).length + 1)
      await mu.stop()
      // The cursor of before: as if the power had gone between the jobs and the cursor.
      for (const entry of before) await disk.monitors.put(entry)
      mu = await net.node('mu', ['MU'], { ...quickly, disk })
      disk = mu.disk
    }
    await ticks((await times()).length + 2)
    const all = await times()
    const [first = 0] = all
    assert.deepEqual(
      all,
      all.map((_, i) => first + i * 1000),
    )
  })

  it('refuses a Process that nobody knows', async () => {
    await assert.rejects(mu.messenger.monitor(anId('nobody')), { code: 'UNKNOWN_PROCESS' })
  })
})

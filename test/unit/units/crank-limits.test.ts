import assert from 'node:assert/strict'
import type { CrankChange } from '../../../src/ports/crank-queue.ts'
import { aMessage, processIdOf } from '../../support/builders.ts'
import { eventually } from '../../support/eventually.ts'
import { pushBench, to } from '../../support/push-bench.ts'

describe('units/messenger, what it spends', () => {
  const bench = pushBench()

  it('ends a conversation that grows without end, with the reason', async () => {
    await bench.arrange({ messenger: { maxRootJobs: 12 } })
    const item = await bench.net.spawn(bench.mu, 'doubling')
    const start = await aMessage(item, { data: 'go' })
    await bench.mu.messenger.submit(start.raw)
    const jobs = await bench.progressOf(start)
    const failed = jobs.filter(({ state }) => state === 'failed')
    assert.ok(failed.length > 0)
    for (const { reason } of failed) assert.match(reason ?? '', new RegExp(`${start.id} has set off 12 others`))
    assert.ok(jobs.length >= 12 && jobs.length < 30, `${jobs.length} messages`)
    const next = await aMessage(item, { data: 'another' })
    await bench.mu.messenger.submit(next.raw)
    assert.ok((await bench.progressOf(next)).length >= 12, 'one root may not use up the budget of another')
  })

  it('counts hops over the MUs that hand a conversation to each other', async () => {
    const mu2 = await bench.net.node('mu2', ['MU'], { messenger: { maxDepth: 6 } })
    await bench.arrange({ messenger: { maxDepth: 6 } })
    const a = await bench.net.spawn(bench.mu, 'volley', { name: 'a', authorities: [bench.mu.address] })
    const b = await bench.net.spawn(bench.mu, 'volley', { name: 'b', authorities: [mu2.address] })
    const start = await aMessage(a, { tags: [{ name: 'Peer', value: processIdOf(b) }] })
    await bench.mu.messenger.submit(start.raw)
    const jobs = await bench.progressOf(start)
    const ended = jobs.filter(({ state }) => state === 'failed')
    assert.equal(ended.length, 1)
    assert.match(ended[0]?.reason ?? '', /6 hops/)
    assert.equal(Math.max(...jobs.map(({ depth }) => depth)), 6)
    const sent = (await bench.rowsOf(processIdOf(a))).length + (await bench.rowsOf(processIdOf(b))).length
    assert.equal(sent, 7)
  })

  it('does not believe a depth beyond its own limit, nor lets it end what is not deep', async () => {
    await bench.arrange({ messenger: { maxDepth: 6 } })
    const data = JSON.stringify({ Messages: [to(processIdOf(bench.target), 'x')] })
    const message = await aMessage(bench.sender, { data })
    await bench.su.scheduler.schedule(message)
    await bench.mu.messenger.crank(processIdOf(bench.sender), message.id, { depth: 4_000_000_000 })
    const [refused] = await bench.progressOf(message)
    assert.equal(refused?.depth, 6)
    assert.equal(refused?.state, 'failed')
    await bench.mu.messenger.crank(processIdOf(bench.sender), message.id)
    const [job] = await bench.progressOf(message)
    assert.equal(job?.state, 'done')
    assert.deepEqual(await bench.dataOf(bench.target), ['x'])
  })

  it('keeps a stated number of ended jobs, and cranking a forgotten one again changes nothing', async () => {
    await bench.arrange({ messenger: { keepEnded: 2, purgeEveryMs: 5 } })
    const { queue } = bench.mu.disk
    const data = JSON.stringify({ Messages: [to(processIdOf(bench.target), 'once')] })
    const message = await aMessage(bench.sender, { data })
    await bench.mu.messenger.submit(message.raw)
    await eventually('delivery', async () => (await bench.dataOf(bench.target)).length === 1)
    for (let i = 0; i < 4; i++) await bench.mu.messenger.submit((await aMessage(bench.sender, { data: `${i}` })).raw)
    await eventually('the purge', async () => (await queue.size()) === 0 && (await queue.ended()) === 2)
    assert.equal(await queue.get(processIdOf(bench.sender), message.id), undefined)
    await bench.mu.messenger.submit(message.raw)
    await eventually('quiet', async () => (await queue.size()) === 0)
    assert.deepEqual(await bench.dataOf(bench.target), ['once'])
  })

  it('forgets ended jobs of a stated age', async () => {
    await bench.arrange({ messenger: { keepEndedMs: 1, purgeEveryMs: 5 } })
    const { queue } = bench.mu.disk
    await eventually('the purge', async () => (await queue.size()) === 0 && (await queue.ended()) === 0)
  })

  it('pays few disk writes for a large outbox, and none but one for a single part', async () => {
    await bench.arrange()
    const { queue } = bench.mu.disk
    await eventually('quiet', async () => (await queue.size()) === 0)
    const changes: CrankChange[] = []
    const write = queue.write.bind(queue)
    queue.write = async change => {
      changes.push(change)
      await new Promise(resolve => setTimeout(resolve, 5)) // as long as a disk takes
      return write(change)
    }
    const targets = await Promise.all(
      Array.from({ length: 30 }, async (_, i) =>
        processIdOf(await bench.net.spawn(bench.mu, 'recorder', { name: `${i}` })),
      ),
    )
    await eventually('quiet', async () => (await queue.size()) === 0)
    const mine = (): number =>
      changes.splice(0).filter(({ update = [] }) => update.some(({ depth }) => depth === 0)).length
    mine()
    await bench.send({ Messages: targets.map(target => to(target, 'x')) })
    const many = mine()
    assert.ok(many >= 2 && many < 20, `${many} writes for 30 parts`)
    await bench.send({ Messages: [to(targets[0] ?? '', 'y')] })
    assert.equal(mine(), 1)
  })
})

import assert from 'node:assert/strict'
import { AoError } from '../../../src/lib/errors.ts'
import type { Scheduler } from '../../../src/ports/units.ts'
import { tagValue } from '../../../src/protocol/tags.ts'
import { aMessage, processIdOf } from '../../support/builders.ts'
import { eventually } from '../../support/eventually.ts'
import { pushBench, to, unitMethods } from '../../support/push-bench.ts'
import { aScriptModule } from '../../support/script-vm.ts'

describe('units/messenger, when another is gone', () => {
  const bench = pushBench()
  /** Schedules so many pushed items, and then none: the MU dies between two of its pushes. */
  const dyingAfter = (pushes: number) => {
    let left = pushes
    return (unit: Scheduler): Scheduler => ({
      ...unitMethods(unit),
      schedule: async (item, options) => {
        if (tagValue(item.tags, 'From-Process') !== undefined && left-- <= 0)
          throw new AoError('PEER_UNREACHABLE', 'the network is gone')
        return unit.schedule(item, options)
      },
    })
  }

  it('finishes from the schedule alone what the other began, each message once, wherever that one stopped', async () => {
    const mu2 = await bench.net.node('mu2', ['MU'])
    const child = to('', 'child', [{ name: 'Module', value: (await aScriptModule('recorder')).id }])
    for (let pushes = 0; pushes <= 8; pushes++) {
      await bench.arrange(
        { wrap: { scheduler: dyingAfter(pushes) }, messenger: { maxRetryAgeMs: 60_000 } },
        ` ${pushes}`,
      )
      const relay = await bench.net.spawn(bench.mu, 'puppet', { name: `relay ${pushes}` })
      const onwards = JSON.stringify({ Messages: ['c', 'd'].map(text => to(processIdOf(bench.target), text)) })
      const outbox = {
        Messages: [
          to(processIdOf(bench.target), 'a'),
          to(processIdOf(bench.target), 'b'),
          to(processIdOf(relay), onwards),
        ],
        Spawns: [child],
      }
      const message = await aMessage(bench.sender, { data: JSON.stringify(outbox) })
      await bench.mu.messenger.submit(message.raw)
      const { queue } = bench.mu.disk
      await eventually('it to stop', async () => (await queue.open(10)).every(({ state }) => state === 'waiting'))
      await bench.mu.stop()
      await mu2.messenger.crank(processIdOf(bench.sender), message.id)
      const jobs = await bench.progressOf(message, mu2)
      const where = `the first MU pushed ${pushes}`
      assert.ok(
        jobs.every(({ state, parts }) => state === 'done' && parts.every(part => part.state === 'pushed')),
        where,
      )
      const got = await bench.dataOf(bench.target)
      assert.deepEqual([...got].sort(), ['a', 'b', 'c', 'd'], where)
      assert.ok(got.indexOf('a') < got.indexOf('b') && got.indexOf('c') < got.indexOf('d'), where)
      assert.deepEqual(await bench.dataOf(relay), [onwards], where)
      const news = (await bench.rowsOf(processIdOf(bench.sender))).filter(
        ({ tags }) => tagValue(tags, 'Action') === 'Spawned',
      )
      assert.equal(news.length, 1, where)
      const part = jobs.find(({ message: id }) => id === message.id)?.parts.find(({ kind }) => kind === 'spawn')
      assert.equal(part?.target, tagValue(news[0]?.tags ?? [], 'Process'), where)
      const ofChild = jobs.find(({ process }) => process === part?.target)
      assert.equal(ofChild?.state, 'done', `${where}: what the child sends at its birth`)
    }
  }).timeout(60_000)

  it('shows at one MU what was handed to another', async () => {
    const mu2 = await bench.net.node('mu2', ['MU'])
    await bench.arrange()
    const theirs = await bench.net.spawn(bench.mu, 'puppet', { name: 'theirs', authorities: [mu2.address] })
    const onwards = JSON.stringify({ Messages: [to(processIdOf(bench.target), 'through both')] })
    const message = await aMessage(bench.sender, {
      data: JSON.stringify({ Messages: [to(processIdOf(theirs), onwards)] }),
    })
    await bench.mu.messenger.submit(message.raw)
    const seen = new Set<string>()
    for await (const { process, nonce, state } of bench.mu.messenger.follow(processIdOf(bench.sender), message.id))
      if (state === 'done') seen.add(`${process} ${nonce}`)
    assert.ok(
      [...seen].some(key => key.startsWith(processIdOf(theirs))),
      'the job at the other MU is not shown',
    )
    assert.ok(
      [...seen].some(key => key.startsWith(processIdOf(bench.target))),
      'nor what it set off',
    )
    const own: string[] = []
    for await (const job of bench.mu.messenger.follow(processIdOf(bench.sender), message.id, { ownOnly: true }))
      own.push(...job.parts.map(({ handedTo }) => `${job.process} ${handedTo}`))
    assert.deepEqual(own, [`${processIdOf(bench.sender)} ${mu2.address}`])
  })

  it('says so when the MU that a part was handed to cannot be asked', async () => {
    const mu2 = await bench.net.node('mu2', ['MU'])
    await bench.arrange()
    const theirs = await bench.net.spawn(bench.mu, 'recorder', { name: 'theirs', authorities: [mu2.address] })
    const message = await aMessage(bench.sender, {
      data: JSON.stringify({ Messages: [to(processIdOf(theirs), 'x')] }),
    })
    await bench.mu.messenger.submit(message.raw)
    await bench.progressOf(message)
    await mu2.stop()
    await assert.rejects(bench.progressOf(message), { code: 'PEER_UNREACHABLE' })
  })
})

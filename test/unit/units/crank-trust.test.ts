import assert from 'node:assert/strict'
import { AoError } from '../../../src/lib/errors.ts'
import type { Compute, CrankProgress, Scheduler } from '../../../src/ports/units.ts'
import type { DataItem } from '../../../src/protocol/data-item.ts'
import type { Nonce } from '../../../src/protocol/ids.ts'
import { emptyOutbox, type Outbox } from '../../../src/protocol/result.ts'
import { aMessage, processIdOf, testSigner } from '../../support/builders.ts'
import { eventually } from '../../support/eventually.ts'
import { lyingCompute } from '../../support/lying-compute.ts'
import { pushBench, to, unitMethods } from '../../support/push-bench.ts'

describe('units/messenger, whom it believes', () => {
  const bench = pushBench()
  const liar = testSigner('liar')
  const rewritten = (outbox: Outbox): Outbox => ({
    ...outbox,
    messages: outbox.messages.map(message => ({ ...message, data: `forged ${message.data}` })),
  })
  /** A message for sender that sends `first` to the target and `second` to another one. */
  const twoParts = async (other: DataItem): Promise<DataItem> =>
    aMessage(bench.sender, {
      data: JSON.stringify({
        Messages: [to(processIdOf(bench.target), 'first'), to(processIdOf(other), 'second')],
      }),
    })
  const away = (unit: Scheduler, isAway: () => boolean): Scheduler => ({
    ...unitMethods(unit),
    schedule: async (item, options) => {
      if (String(item.data) === 'second' && isAway()) throw new AoError('PEER_UNREACHABLE', 'the SU is away')
      return unit.schedule(item, options)
    },
  })

  it('ends a job visibly when a CU later shows another outbox, and pushes nothing of that', async () => {
    let asked = 0
    await bench.arrange({
      wrap: {
        scheduler: unit => away(unit, () => true),
        compute: unit =>
          lyingCompute(unit, liar, out => (out.messages.length === 2 && asked++ > 0 ? rewritten(out) : undefined)),
      },
      messenger: { maxRetryAgeMs: 60_000 },
    })
    const other = await bench.net.spawn(bench.mu, 'recorder', { name: 'other' })
    const message = await twoParts(other)
    await bench.mu.messenger.submit(message.raw)
    const [job] = await bench.progressOf(message)
    assert.equal(job?.state, 'failed')
    assert.match(job?.reason ?? '', new RegExp(`contradict.*${job?.result?.compute}.*${liar.address}`))
    assert.notEqual(job?.result?.compute, liar.address)
    assert.deepEqual(
      job?.parts.map(({ state }) => state),
      ['pushed', 'waiting'],
    )
    assert.deepEqual(await bench.dataOf(bench.target), ['first'])
    assert.deepEqual(await bench.dataOf(other), [])
  })

  it('knows after a crash which outbox it began with, from the first push on', async () => {
    let isDead = false
    const dying = (unit: Scheduler): Scheduler => ({
      ...unitMethods(unit),
      schedule: async (item, options) => {
        if (isDead || String(item.data) === 'second') throw new AoError('PEER_UNREACHABLE', 'the SU is away')
        const assignment = await unit.schedule(item, options)
        isDead = String(item.data) === 'first'
        return assignment
      },
    })
    await bench.arrange({ wrap: { scheduler: dying } })
    const other = await bench.net.spawn(bench.mu, 'recorder', { name: 'other' })
    const { disk } = bench.mu
    await eventually('quiet', async () => (await disk.queue.size()) === 0)
    const write = disk.queue.write.bind(disk.queue)
    disk.queue.write = change => (isDead ? Promise.reject(new AoError('LOG_WRITE_FAILED', 'no power')) : write(change))
    const message = await twoParts(other)
    await bench.mu.messenger.submit(message.raw)
    await eventually('the first part', async () => (await bench.dataOf(bench.target)).length === 1)
    await bench.mu.stop()
    disk.queue.write = write
    const lies = (out: Outbox): Outbox | undefined => (out.messages.length === 2 ? rewritten(out) : undefined)
    const wrap = { compute: (unit: Compute) => lyingCompute(unit, liar, lies) }
    bench.mu = await bench.net.node('mu', ['MU'], { disk, wrap })
    const [job] = await bench.progressOf(message)
    assert.equal(job?.state, 'failed')
    assert.match(job?.reason ?? '', /contradict/)
    assert.deepEqual(await bench.dataOf(other), [])
  })

  it('notes who signed the result, and that a Process failed', async () => {
    await bench.arrange()
    const [done] = await bench.send({ Messages: [to(processIdOf(bench.target), 'x')] })
    const cu = bench.net.nodes.find(({ name }) => name === 'cu')
    assert.equal(done?.result?.compute, cu?.address)
    assert.equal(done?.result?.error, undefined)
    const [failed] = await bench.send({ Error: 'out of luck' })
    assert.equal(failed?.result?.error, 'out of luck')
    assert.equal(failed?.state, 'done')
  })

  it('does not take another message for its own, whatever the SU says', async () => {
    const wrong = (unit: Scheduler): Scheduler => ({
      ...unitMethods(unit),
      schedule: async (item, options) =>
        item.owner === bench.mu?.address
          ? unit.assignment(processIdOf(bench.target), 0 as Nonce, options)
          : unit.schedule(item, options),
    })
    await bench.arrange({ wrap: { scheduler: wrong } })
    const [job] = await bench.send({ Messages: [to(processIdOf(bench.target), 'x')] })
    assert.equal(job?.parts[0]?.state, 'failed')
    assert.match(job?.parts[0]?.reason ?? '', /INVALID_ASSIGNMENT/)
  })

  it('tries failed parts again when a person asks, and not when another MU does', async () => {
    let isAway = true
    await bench.arrange({ wrap: { scheduler: unit => away(unit, () => isAway) } })
    const other = await bench.net.spawn(bench.mu, 'recorder', { name: 'other' })
    const message = await twoParts(other)
    await bench.mu.messenger.submit(message.raw)
    const stateOf = async (): Promise<CrankProgress | undefined> =>
      (await bench.progressOf(message)).find(({ message: id }) => id === message.id)
    assert.match((await stateOf())?.parts[1]?.reason ?? '', /given up/)
    isAway = false
    await bench.mu.messenger.crank(processIdOf(bench.sender), message.id, { depth: 0 })
    assert.equal((await stateOf())?.parts[1]?.state, 'failed')
    await bench.mu.messenger.crank(processIdOf(bench.sender), message.id)
    assert.equal((await stateOf())?.parts[1]?.state, 'pushed')
    assert.deepEqual(await bench.dataOf(bench.target), ['first'])
    assert.deepEqual(await bench.dataOf(other), ['second'])
  })

  it('takes an empty outbox as the end, also with an empty pin', async () => {
    await bench.arrange({ wrap: { compute: unit => lyingCompute(unit, liar, () => emptyOutbox) } })
    const [job] = await bench.send({ Messages: [to(processIdOf(bench.target), 'x')] })
    assert.equal(job?.state, 'done')
    assert.deepEqual(job?.parts, [])
    assert.equal(job?.result?.compute, liar.address)
  })
})

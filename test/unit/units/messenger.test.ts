import assert from 'node:assert/strict'
import { AoError } from '../../../src/lib/errors.ts'
import type { CrankProgress, Scheduler } from '../../../src/ports/units.ts'
import type { MessageId, ModuleId, Nonce, ProcessId } from '../../../src/protocol/ids.ts'
import { tagValue } from '../../../src/protocol/tags.ts'
import { isTransient, pauseBefore } from '../../../src/units/messenger/retry.ts'
import { aMessage, anId, anItem, aProcess, processIdOf, testSigner } from '../../support/builders.ts'
import { eventually } from '../../support/eventually.ts'
import { pushBench, to, unitMethods } from '../../support/push-bench.ts'
import { aScriptModule } from '../../support/script-vm.ts'

describe('units/messenger', () => {
  const bench = pushBench()

  it('refuses at the door what is no message', async () => {
    await bench.arrange({ messenger: { maxItemBytes: 2_000 } })
    const good = await aMessage(bench.sender)
    const changed = Uint8Array.from(good.raw)
    changed[changed.length - 1] = 0
    await assert.rejects(bench.mu.messenger.submit(Uint8Array.of(1, 2, 3)), { code: 'INVALID_DATA_ITEM' })
    await assert.rejects(bench.mu.messenger.submit(changed), { code: 'INVALID_DATA_ITEM' })
    await assert.rejects(bench.mu.messenger.submit((await anItem({ target: processIdOf(bench.sender) })).raw), {
      code: 'INVALID_DATA_ITEM',
    })
    await assert.rejects(bench.mu.messenger.submit((await aMessage(bench.sender, { data: 'x'.repeat(2_000) })).raw), {
      code: 'TOO_LARGE',
    })
    await assert.rejects(bench.mu.messenger.submit((await aMessage(anId<ProcessId>('nobody'))).raw), {
      code: 'UNKNOWN_PROCESS',
    })
    const lost = await aProcess({ scheduler: testSigner('nobody').address })
    await assert.rejects(bench.mu.messenger.submit(lost.raw), { code: 'PEER_UNREACHABLE' })
  })

  it('takes a bounded number of messages of one wallet, and meanwhile those of others', async () => {
    await bench.arrange({ messenger: { perWallet: { perSecond: 1, burst: 2 } } })
    const send = (data: string, signer = testSigner('one')): Promise<unknown> =>
      aMessage(bench.sender, { data, signer }).then(({ raw }) => bench.mu.messenger.submit(raw))
    await send('{"a":1}')
    await send('{"a":2}')
    await assert.rejects(send('{"a":3}'), (error: AoError) => {
      return error.code === 'OVERLOADED' && error.facts['wallet'] === testSigner('one').address
    })
    await send('{"a":4}', testSigner('another'))
  })

  it('answers only once the crank job is on disk', async () => {
    await bench.arrange()
    const { queue } = bench.mu.disk
    const write = queue.write.bind(queue)
    queue.write = async change => {
      if ((change.add?.length ?? 0) > 0) throw new AoError('LOG_WRITE_FAILED', 'disk full')
      return write(change)
    }
    const message = await aMessage(bench.sender, {
      data: JSON.stringify({ Messages: [to(processIdOf(bench.target), 'x')] }),
    })
    await assert.rejects(bench.mu.messenger.submit(message.raw), { code: 'LOG_WRITE_FAILED' })
    queue.write = write
    assert.equal((await bench.mu.messenger.submit(message.raw)).nonce, 1)
    await bench.progressOf(message)
    assert.deepEqual(await bench.dataOf(bench.target), ['x'])
  })

  it('signs what a Process sends with the tags of compat.md, and none that the Process forged', async () => {
    await bench.arrange()
    const forged = ['From-Process', 'From-Module', 'Pushed-For', 'From-Nonce', 'Type', 'Data-Protocol', 'Assignments']
    const tags = [{ name: 'Action', value: 'Hi' }, ...forged.map(name => ({ name, value: 'forged' }))]
    const [root] = await bench.send({ Messages: [to(processIdOf(bench.target), '', tags)] })
    const [pushed] = await bench.rowsOf(processIdOf(bench.target))
    assert.ok(pushed && root)
    assert.equal(pushed.owner, bench.mu.address)
    assert.equal(String(pushed.data), ' ')
    const expected: [string, string][] = [
      ['Action', 'Hi'],
      ['Data-Protocol', 'ao'],
      ['Type', 'Message'],
      ['From-Process', processIdOf(bench.sender)],
      ['From-Module', (await aScriptModule('puppet')).id],
      ['Pushed-For', root.message],
      ['From-Nonce', '1'],
      ['From-Index', '0'],
    ]
    assert.deepEqual(
      pushed.tags,
      expected.map(([name, value]) => ({ name, value })),
    )
  })

  it('keeps the order of parts to one target', async () => {
    await bench.arrange()
    const data = Array.from({ length: 20 }, (_, i) => `part ${i}`)
    const jobs = await bench.send({ Messages: data.map(text => to(processIdOf(bench.target), text)) })
    assert.deepEqual(await bench.dataOf(bench.target), data)
    assert.equal(jobs.length, 21)
    assert.ok(jobs.every(({ state }) => state === 'done'))
  })

  it('makes two messages of two equal parts', async () => {
    await bench.arrange()
    const part = to(processIdOf(bench.target), 'same')
    await bench.send({ Messages: [part, part] })
    assert.deepEqual(await bench.dataOf(bench.target), ['same', 'same'])
  })

  it('spawns: parent scheduler by default, tags kept, and the parent is told', async () => {
    await bench.arrange()
    const module = (await aScriptModule('recorder')).id
    const tags = [
      { name: 'Module', value: module },
      { name: 'Reference', value: '42' },
      { name: 'From-Process', value: 'forged' },
      { name: 'Authority', value: bench.mu.address },
    ]
    const jobs = await bench.send({ Spawns: [{ Anchor: '', Tags: tags, Data: 'boot' }] })
    const part = jobs.find(({ nonce, process }) => nonce === 1 && process === processIdOf(bench.sender))?.parts[0]
    assert.ok(part)
    assert.equal(part.state, 'pushed')
    const child = await bench.su.scheduler.process(part.target as ProcessId)
    assert.equal(tagValue(child.tags, 'Scheduler'), bench.su.address)
    assert.equal(tagValue(child.tags, 'From-Process'), processIdOf(bench.sender))
    assert.equal(tagValue(child.tags, 'Type'), 'Process')
    assert.equal(String(child.data), 'boot')
    const spawned = (await bench.rowsOf(processIdOf(bench.sender))).find(
      ({ tags }) => tagValue(tags, 'Action') === 'Spawned',
    )
    assert.ok(spawned)
    assert.equal(tagValue(spawned.tags, 'Process'), part.target)
    assert.equal(tagValue(spawned.tags, 'Reference'), '42')
    assert.equal(tagValue(spawned.tags, 'From-Process'), processIdOf(bench.sender))
    assert.equal(tagValue(spawned.tags, 'Type'), 'Message')
    assert.equal((await bench.mu.compute.result(part.target as ProcessId, 0 as Nonce)).result.error, undefined)
  })

  it('pushes only to Processes whose Authority names it, and names what is missing', async () => {
    await bench.arrange()
    const stranger = await bench.net.spawn(bench.mu, 'recorder', {
      name: 'stranger',
      authorities: [testSigner('x').address],
    })
    const jobs = await bench.send({ Messages: [to(processIdOf(stranger), 'no'), to(processIdOf(bench.target), 'yes')] })
    const [refused, pushed] =
      jobs.find(({ nonce, process }) => nonce === 1 && process === processIdOf(bench.sender))?.parts ?? []
    assert.equal(refused?.state, 'failed')
    assert.match(refused?.reason ?? '', new RegExp(`NOT_ALLOWED.*Authority: ${bench.mu.address}`))
    assert.equal(pushed?.state, 'pushed')
    assert.deepEqual(await bench.dataOf(stranger), [])
    assert.deepEqual(await bench.dataOf(bench.target), ['yes'])
    assert.ok(bench.mu.events.some(({ event }) => event === 'part-failed'))
  })

  it('hands a part to the MU that its target names', async () => {
    const mu2 = await bench.net.node('mu2', ['MU'])
    await bench.arrange()
    const theirs = await bench.net.spawn(bench.mu, 'recorder', { name: 'theirs', authorities: [mu2.address] })
    await bench.send({
      Messages: [to(processIdOf(theirs), 'through mu2'), to(processIdOf(bench.target), 'through mu')],
    })
    await eventually('the other MU to push', async () => (await bench.dataOf(theirs)).length === 1)
    await eventually('quiet', async () => (await mu2.disk.queue.size()) === 0)
    const [row] = await bench.rowsOf(processIdOf(theirs))
    assert.equal(row?.owner, mu2.address)
    const owners = (await bench.rowsOf(processIdOf(bench.target))).map(({ owner }) => owner)
    assert.ok(owners.includes(bench.mu.address))
  })

  it('uploads what goes to a wallet, which no scheduler takes', async () => {
    await bench.arrange()
    const wallet = testSigner('wallet').address
    const [job] = await bench.send({ Messages: [to(wallet, 'for you')] })
    const part = job?.parts[0]
    assert.ok(part?.message)
    assert.equal(part.state, 'pushed')
    const item = await bench.net.arweave.item(part.message)
    assert.equal(String(item?.data), 'for you')
    assert.equal(tagValue(item?.tags ?? [], 'From-Process'), processIdOf(bench.sender))
  })

  it('records what can never be pushed, with the cause, and goes on with the rest', async () => {
    await bench.arrange()
    const outbox = {
      Messages: [
        to('not an id', 'x'),
        { ...to(processIdOf(bench.target), 'x'), Anchor: 'short' },
        to(processIdOf(bench.target), 'x', [{ name: 'Large', value: 'x'.repeat(5_000) }]),
        to(processIdOf(bench.target), 'good'),
      ],
      Assignments: [{ Message: anId('m'), Processes: [processIdOf(bench.target)] }],
    }
    const jobs = await bench.send(outbox)
    const parts = jobs[0]?.parts ?? []
    assert.deepEqual(
      parts.map(({ state }) => state),
      ['failed', 'failed', 'failed', 'pushed', 'failed'],
    )
    for (const { state, reason } of parts) assert.equal(state === 'failed', reason !== undefined)
    assert.match(parts[4]?.reason ?? '', /given up: UNKNOWN_MESSAGE/)
    assert.equal(jobs[0]?.state, 'done')
    assert.equal(jobs[0]?.reason, '4 of 5 parts failed')
  })

  it('ends a conversation that never ends, and a flood', async () => {
    await bench.arrange({ messenger: { maxDepth: 5, maxParts: 3 } })
    const loop = await bench.net.spawn(bench.mu, 'endless')
    const start = await aMessage(loop, { data: 'go' })
    await bench.mu.messenger.submit(start.raw)
    const states: string[] = []
    for await (const job of bench.mu.messenger.follow(processIdOf(loop), start.id))
      if (job.state === 'failed') states.push(job.reason ?? '')
    assert.equal(states.length, 1)
    assert.match(states[0] ?? '', /5 hops/)
    assert.equal((await bench.rowsOf(processIdOf(loop))).length, 6)
    const [flood] = await bench.send({ Messages: Array.from({ length: 4 }, () => to(processIdOf(bench.target), 'x')) })
    assert.equal(flood?.state, 'failed')
    assert.match(flood?.reason ?? '', /4 parts.*limit of 3/)
  })

  it('tries again what may work later, and gives up with the cause when it does not', async () => {
    let failures = 3
    const flaky = (unit: Scheduler): Scheduler => ({
      ...unitMethods(unit),
      schedule: async (message, options) => {
        if (message.owner === bench.mu?.address && failures-- > 0)
          throw new AoError('PEER_UNREACHABLE', 'the SU is away')
        return unit.schedule(message, options)
      },
    })
    await bench.arrange({ wrap: { scheduler: flaky } })
    await bench.send({ Messages: [to(processIdOf(bench.target), 'late')] })
    assert.deepEqual(await bench.dataOf(bench.target), ['late'])
    failures = Number.POSITIVE_INFINITY
    const [job] = await bench.send({ Messages: [to(processIdOf(bench.target), 'never')] })
    assert.equal(job?.parts[0]?.state, 'failed')
    assert.match(job?.parts[0]?.reason ?? '', /given up: PEER_UNREACHABLE/)
    assert.ok((job?.attempts ?? 0) > 10, 'gave up too soon')
    assert.deepEqual(await bench.dataOf(bench.target), ['late'])
  })

  it('does not hold up one target because another is unreachable', async () => {
    let away = true
    const flaky = (unit: Scheduler): Scheduler => ({
      ...unitMethods(unit),
      schedule: async (message, options) => {
        if (away && String(message.data).startsWith('held')) throw new AoError('PEER_UNREACHABLE', 'the SU is away')
        return unit.schedule(message, options)
      },
    })
    await bench.arrange({ wrap: { scheduler: flaky }, messenger: { maxRetryAgeMs: 60_000 } })
    const other = await bench.net.spawn(bench.mu, 'recorder', { name: 'other' })
    const [a, b] = [processIdOf(bench.target), processIdOf(other)]
    const sent = bench.send({ Messages: [to(a, 'held 1'), to(a, 'after it'), to(b, 'free')] })
    await eventually('the free one', async () => (await bench.dataOf(other)).length === 1)
    assert.deepEqual(await bench.dataOf(bench.target), [])
    away = false
    await sent
    assert.deepEqual(await bench.dataOf(bench.target), ['held 1', 'after it'])
  })

  it('fails a job whose result cannot be had, and says why', async () => {
    await bench.arrange()
    const missing = await aProcess({ module: anId<ModuleId>('no module'), authorities: [bench.mu.address] })
    await bench.mu.messenger.submit(missing.raw)
    const jobs: CrankProgress[] = []
    for await (const job of bench.mu.messenger.follow(processIdOf(missing), missing.id)) jobs.push(job)
    assert.equal(jobs.at(-1)?.state, 'failed')
    assert.match(jobs.at(-1)?.reason ?? '', /UNKNOWN_MODULE/)
  })

  it('cranks a message that somebody else had ordered, once', async () => {
    await bench.arrange()
    const message = await aMessage(bench.sender, {
      data: JSON.stringify({ Messages: [to(processIdOf(bench.target), 'cranked')] }),
    })
    await bench.su.scheduler.schedule(message)
    await bench.mu.messenger.crank(processIdOf(bench.sender), message.id)
    await bench.mu.messenger.crank(processIdOf(bench.sender), message.id)
    await bench.progressOf(message)
    assert.deepEqual(await bench.dataOf(bench.target), ['cranked'])
    await assert.rejects(bench.mu.messenger.crank(processIdOf(bench.sender), anId<MessageId>('none')), {
      code: 'UNKNOWN_MESSAGE',
    })
    await assert.rejects(bench.progressOf({ ...message, id: anId<MessageId>('none') }), { code: 'UNKNOWN_MESSAGE' })
  })

  it('cranks one part of an outbox and leaves the others, until they are asked for', async () => {
    await bench.arrange()
    const target = processIdOf(bench.target)
    const outbox = { Messages: ['zero', 'one', 'two'].map(data => to(target, data)) }
    const message = await aMessage(bench.sender, { data: JSON.stringify(outbox) })
    await bench.su.scheduler.schedule(message)
    const crank = (part?: number) => bench.mu.messenger.crank(processIdOf(bench.sender), message.id, { part })
    const parts = async () => (await bench.progressOf(message)).find(({ message: id }) => id === message.id)?.parts

    await crank(1)
    const first = await parts()
    assert.deepEqual(
      first?.map(({ state, reason }) => `${state} ${reason ?? ''}`.trim()),
      ['failed left out: another part was asked for', 'pushed', 'failed left out: another part was asked for'],
    )
    assert.deepEqual(await bench.dataOf(bench.target), ['one'])
    await crank(1)
    await crank(2)
    await bench.progressOf(message)
    assert.deepEqual(await bench.dataOf(bench.target), ['one', 'two'])
    await crank()
    await bench.progressOf(message)
    assert.deepEqual(await bench.dataOf(bench.target), ['one', 'two', 'zero'])
    await assert.rejects(crank(3), { code: 'INVALID_ARGUMENT', message: 'the outbox has 3 parts, and none at 3' })

    const other = await aMessage(bench.sender, { data: JSON.stringify({ Messages: [to(target, 'only one')] }) })
    await bench.su.scheduler.schedule(other)
    await bench.mu.messenger.crank(processIdOf(bench.sender), other.id, { part: 7 })
    const [job] = await bench.progressOf(other)
    assert.deepEqual([job?.state, job?.reason], ['failed', 'the outbox has 1 parts, and none at 7'])
  })

  it('refuses new messages when too many are open', async () => {
    await bench.arrange()
    await eventually('quiet', async () => (await bench.mu.disk.queue.size()) === 0)
    await bench.mu.stop()
    bench.mu = await bench.net.node('mu', ['MU'], { disk: bench.mu.disk, messenger: { maxOpenJobs: 0 } })
    await assert.rejects(bench.mu.messenger.submit((await aMessage(bench.sender)).raw), { code: 'OVERLOADED' })
  })

  it('answers STOPPING once it stops', async () => {
    await bench.arrange()
    const { raw } = await aMessage(bench.sender)
    await bench.mu.stop()
    await assert.rejects(async () => bench.mu.mu?.submit(raw), { code: 'STOPPING' })
  })
})

describe('units/messenger/retry', () => {
  it('doubles its pauses up to a limit and gives up after their sum', () => {
    const options = { retryMs: 100, maxRetryMs: 800, maxRetryAgeMs: 3_000 }
    const pauses = Array.from({ length: 8 }, (_, attempts) => pauseBefore(attempts, 1, options))
    assert.deepEqual(pauses, [100, 200, 400, 800, 800, 800, undefined, undefined])
    assert.equal(pauseBefore(0, 0, options), 50)
  })

  it('tries again only what the error table lets', () => {
    assert.ok(isTransient(new AoError('PEER_UNREACHABLE', '')))
    assert.ok(isTransient(new AoError('UNKNOWN_PROCESS', '')))
    assert.ok(isTransient(new AoError('ABORTED', '')))
    assert.ok(!isTransient(new AoError('NOT_ALLOWED', '')))
    assert.ok(!isTransient(new AoError('INVALID_DATA_ITEM', '')))
  })
})

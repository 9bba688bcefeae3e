import assert from 'node:assert/strict'
import { AoError } from '../../../src/lib/errors.ts'
import type { CrankProgress, Scheduler } from '../../../src/ports/units.ts'
import type { DataItem } from '../../../src/protocol/data-item.ts'
import type { MessageId, ModuleId, Nonce, ProcessId } from '../../../src/protocol/ids.ts'
import { type Tag, tagValue } from '../../../src/protocol/tags.ts'
import { MemoryCrankQueue } from '../../../src/storage/memory.ts'
import { isTransient, pauseBefore } from '../../../src/units/messenger/retry.ts'
import { aMessage, anId, anItem, aProcess, processIdOf, testSigner } from '../../support/builders.ts'
import { eventually } from '../../support/eventually.ts'
import { aScriptModule, recorder, type Script } from '../../support/script-vm.ts'
import { type Disk, type NodeOptions, UnitNetwork, type UnitNode } from '../../support/unit-network.ts'

/** Sends the outbox that its message's data spells out as JSON. */
const puppet: Script = (state, message) => {
  const data = String(message['Data'])
  return { state: Number(state ?? 0) + 1, answer: data.startsWith('{') ? JSON.parse(data) : { Output: data } }
}
/** Sends itself a message for each it gets. */
const endless: Script = (state, message) => ({
  state,
  answer:
    message['Data'] === '1984'
      ? {}
      : { Messages: [{ Target: message['Target'], Anchor: '', Tags: [], Data: 'again' }] },
})
const to = (target: string, data: string, tags: readonly Tag[] = []) => ({
  Target: target,
  Anchor: '',
  Tags: tags,
  Data: data,
})

describe('units/messenger', () => {
  let net: UnitNetwork
  let su: UnitNode
  let mu: UnitNode
  let sender: DataItem
  let target: DataItem

  const arrange = async (options: NodeOptions = {}, suffix = ''): Promise<void> => {
    mu = await net.node('mu', ['MU'], options)
    sender = await net.spawn(mu, 'puppet', { name: `sender${suffix}` })
    target = await net.spawn(mu, 'recorder', { name: `target${suffix}` })
  }
  const send = async (outbox: object, node = mu): Promise<readonly CrankProgress[]> => {
    const message = await aMessage(sender, { data: JSON.stringify(outbox) })
    await node.messenger.submit(message.raw)
    return progressOf(message, node)
  }
  const progressOf = async (message: DataItem, node = mu): Promise<readonly CrankProgress[]> => {
    const newest = new Map<string, CrankProgress>()
    for await (const job of node.messenger.follow(processIdOf(sender), message.id)) {
      newest.set(`${job.process} ${job.message}`, job)
    }
    return [...newest.values()]
  }
  const rowsOf = async (process: ProcessId): Promise<DataItem[]> => {
    const rows: DataItem[] = []
    for await (const { message } of su.scheduler.read(process, { from: 1 as Nonce })) if (message) rows.push(message)
    return rows
  }
  const dataOf = async (item: DataItem) => (await rowsOf(processIdOf(item))).map(({ data }) => String(data))

  beforeEach(async () => {
    net = new UnitNetwork({ recorder, puppet, endless })
    su = await net.node('su', ['SU'])
    await net.node('cu', ['CU'])
  })
  afterEach(() => net.stop())

  it('refuses at the door what is no message', async () => {
    await arrange({ messenger: { maxItemBytes: 2_000 } })
    const good = await aMessage(sender)
    const changed = Uint8Array.from(good.raw)
    changed[changed.length - 1] = 0
    await assert.rejects(mu.messenger.submit(Uint8Array.of(1, 2, 3)), { code: 'INVALID_DATA_ITEM' })
    await assert.rejects(mu.messenger.submit(changed), { code: 'INVALID_DATA_ITEM' })
    await assert.rejects(mu.messenger.submit((await anItem({ target: processIdOf(sender) })).raw), {
      code: 'INVALID_DATA_ITEM',
    })
    await assert.rejects(mu.messenger.submit((await aMessage(sender, { data: 'x'.repeat(2_000) })).raw), {
      code: 'TOO_LARGE',
    })
    await assert.rejects(mu.messenger.submit((await aMessage(anId<ProcessId>('nobody'))).raw), {
      code: 'UNKNOWN_PROCESS',
    })
    const lost = await aProcess({ scheduler: testSigner('nobody').address })
    await assert.rejects(mu.messenger.submit(lost.raw), { code: 'PEER_UNREACHABLE' })
  })

  it('signs what a Process sends with the tags of compat.md, and none that the Process forged', async () => {
    await arrange()
    const forged = ['From-Process', 'From-Module', 'Pushed-For', 'From-Nonce', 'Type', 'Data-Protocol', 'Assignments']
    const tags = [{ name: 'Action', value: 'Hi' }, ...forged.map(name => ({ name, value: 'forged' }))]
    const [root] = await send({ Messages: [to(processIdOf(target), '', tags)] })
    const [pushed] = await rowsOf(processIdOf(target))
    assert.ok(pushed && root)
    assert.equal(pushed.owner, mu.address)
    assert.equal(String(pushed.data), ' ')
    const expected: [string, string][] = [
      ['Action', 'Hi'],
      ['Data-Protocol', 'ao'],
      ['Type', 'Message'],
      ['From-Process', processIdOf(sender)],
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
    await arrange()
    const data = Array.from({ length: 20 }, (_, i) => `part ${i}`)
    const jobs = await send({ Messages: data.map(text => to(processIdOf(target), text)) })
    assert.deepEqual(await dataOf(target), data)
    assert.equal(jobs.length, 21)
    assert.ok(jobs.every(({ state }) => state === 'done'))
  })

  it('makes two messages of two equal parts', async () => {
    await arrange()
    const part = to(processIdOf(target), 'same')
    await send({ Messages: [part, part] })
    assert.deepEqual(await dataOf(target), ['same', 'same'])
  })

  it('pushes each part exactly once, wherever a crash falls', async () => {
    const child = to('', 'child', [{ name: 'Module', value: (await aScriptModule('recorder')).id }])
    let boundaries = 0
    for (let cut = 1; ; cut++) {
      await arrange({}, ` ${cut}`)
      await eventually('quiet', async () => (await mu.disk.queue.size()) === 0)
      await mu.stop()
      const power = new Power(cut)
      const dying = await net.node('mu', ['MU'], { disk: power.disk(mu.disk), wrap: { scheduler: power.scheduler } })
      const outbox = { Messages: [to(processIdOf(target), 'a'), to(processIdOf(target), 'b')], Spawns: [child] }
      const message = await aMessage(sender, { data: JSON.stringify(outbox) })
      await dying.messenger.submit(message.raw).catch(() => undefined)
      await eventually('cut or done', async () => power.isCut || (await mu.disk.queue.size()) === 0)
      await dying.stop()
      const finished = !power.isCut
      mu = await net.node('mu', ['MU'], { disk: mu.disk })
      await mu.messenger.submit(message.raw) // as a user does who got no answer
      const jobs = await progressOf(message)
      const where = `cut at boundary ${cut}`
      assert.deepEqual(await dataOf(target), ['a', 'b'], where)
      const toSender = await rowsOf(processIdOf(sender))
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
      await mu.stop()
      boundaries = cut
      if (finished) break
    }
    assert.ok(boundaries > 20, `only ${boundaries} boundaries were cut`)
  }).timeout(60_000)

  it('spawns: parent scheduler by default, tags kept, and the parent is told', async () => {
    await arrange()
    const module = (await aScriptModule('recorder')).id
    const tags = [
      { name: 'Module', value: module },
      { name: 'Reference', value: '42' },
      { name: 'From-Process', value: 'forged' },
      { name: 'Authority', value: mu.address },
    ]
    const jobs = await send({ Spawns: [{ Anchor: '', Tags: tags, Data: 'boot' }] })
    const part = jobs.find(({ nonce, process }) => nonce === 1 && process === processIdOf(sender))?.parts[0]
    assert.ok(part)
    assert.equal(part.state, 'pushed')
    const child = await su.scheduler.process(part.target as ProcessId)
    assert.equal(tagValue(child.tags, 'Scheduler'), su.address)
    assert.equal(tagValue(child.tags, 'From-Process'), processIdOf(sender))
    assert.equal(tagValue(child.tags, 'Type'), 'Process')
    assert.equal(String(child.data), 'boot')
    const spawned = (await rowsOf(processIdOf(sender))).find(({ tags }) => tagValue(tags, 'Action') === 'Spawned')
    assert.ok(spawned)
    assert.equal(tagValue(spawned.tags, 'Process'), part.target)
    assert.equal(tagValue(spawned.tags, 'Reference'), '42')
    assert.equal(tagValue(spawned.tags, 'From-Process'), processIdOf(sender))
    assert.equal(tagValue(spawned.tags, 'Type'), 'Message')
    assert.equal((await mu.compute.result(part.target as ProcessId, 0 as Nonce)).result.error, undefined)
  })

  it('pushes only to Processes whose Authority names it, and names what is missing', async () => {
    await arrange()
    const stranger = await net.spawn(mu, 'recorder', { name: 'stranger', authorities: [testSigner('x').address] })
    const jobs = await send({ Messages: [to(processIdOf(stranger), 'no'), to(processIdOf(target), 'yes')] })
    const [refused, pushed] =
      jobs.find(({ nonce, process }) => nonce === 1 && process === processIdOf(sender))?.parts ?? []
    assert.equal(refused?.state, 'failed')
    assert.match(refused?.reason ?? '', new RegExp(`NOT_ALLOWED.*Authority: ${mu.address}`))
    assert.equal(pushed?.state, 'pushed')
    assert.deepEqual(await dataOf(stranger), [])
    assert.deepEqual(await dataOf(target), ['yes'])
    assert.ok(mu.events.some(({ event }) => event === 'part failed'))
  })

  it('hands a part to the MU that its target names', async () => {
    const mu2 = await net.node('mu2', ['MU'])
    await arrange()
    const theirs = await net.spawn(mu, 'recorder', { name: 'theirs', authorities: [mu2.address] })
    await send({ Messages: [to(processIdOf(theirs), 'through mu2'), to(processIdOf(target), 'through mu')] })
    await eventually('the other MU to push', async () => (await dataOf(theirs)).length === 1)
    await eventually('quiet', async () => (await mu2.disk.queue.size()) === 0)
    const [row] = await rowsOf(processIdOf(theirs))
    assert.equal(row?.owner, mu2.address)
    const owners = (await rowsOf(processIdOf(target))).map(({ owner }) => owner)
    assert.ok(owners.includes(mu.address))
  })

  it('uploads what goes to a wallet, which no scheduler takes', async () => {
    await arrange()
    const wallet = testSigner('wallet').address
    const [job] = await send({ Messages: [to(wallet, 'for you')] })
    const part = job?.parts[0]
    assert.ok(part?.message)
    assert.equal(part.state, 'pushed')
    const item = await net.arweave.item(part.message)
    assert.equal(String(item?.data), 'for you')
    assert.equal(tagValue(item?.tags ?? [], 'From-Process'), processIdOf(sender))
  })

  it('records what can never be pushed, with the cause, and goes on with the rest', async () => {
    await arrange()
    const outbox = {
      Messages: [
        to('not an id', 'x'),
        { ...to(processIdOf(target), 'x'), Anchor: 'short' },
        to(processIdOf(target), 'x', [{ name: 'Large', value: 'x'.repeat(5_000) }]),
        to(processIdOf(target), 'good'),
      ],
      Assignments: [{ Message: anId('m'), Processes: [processIdOf(target)] }],
    }
    const jobs = await send(outbox)
    const parts = jobs[0]?.parts ?? []
    assert.deepEqual(
      parts.map(({ state }) => state),
      ['failed', 'failed', 'failed', 'pushed', 'failed'],
    )
    for (const { state, reason } of parts) assert.equal(state === 'failed', reason !== undefined)
    assert.match(parts[4]?.reason ?? '', /not supported/)
    assert.equal(jobs[0]?.state, 'done')
    assert.equal(jobs[0]?.reason, '4 of 5 parts failed')
  })

  it('ends a conversation that never ends, and a flood', async () => {
    await arrange({ messenger: { maxDepth: 5, maxParts: 3 } })
    const loop = await net.spawn(mu, 'endless')
    const start = await aMessage(loop, { data: 'go' })
    await mu.messenger.submit(start.raw)
    const states: string[] = []
    for await (const job of mu.messenger.follow(processIdOf(loop), start.id))
      if (job.state === 'failed') states.push(job.reason ?? '')
    assert.equal(states.length, 1)
    assert.match(states[0] ?? '', /5 hops/)
    assert.equal((await rowsOf(processIdOf(loop))).length, 6)
    const [flood] = await send({ Messages: Array.from({ length: 4 }, () => to(processIdOf(target), 'x')) })
    assert.equal(flood?.state, 'failed')
    assert.match(flood?.reason ?? '', /4 parts.*limit of 3/)
  })

  it('tries again what may work later, and gives up with the cause when it does not', async () => {
    let failures = 3
    const flaky = (unit: Scheduler): Scheduler => ({
      ...unitMethods(unit),
      schedule: async (message, options) => {
        if (message.owner === mu?.address && failures-- > 0) throw new AoError('PEER_UNREACHABLE', 'the SU is away')
        return unit.schedule(message, options)
      },
    })
    await arrange({ wrap: { scheduler: flaky } })
    await send({ Messages: [to(processIdOf(target), 'late')] })
    assert.deepEqual(await dataOf(target), ['late'])
    failures = Number.POSITIVE_INFINITY
    const [job] = await send({ Messages: [to(processIdOf(target), 'never')] })
    assert.equal(job?.parts[0]?.state, 'failed')
    assert.match(job?.parts[0]?.reason ?? '', /given up: PEER_UNREACHABLE/)
    assert.ok((job?.attempts ?? 0) > 10, 'gave up too soon')
    assert.deepEqual(await dataOf(target), ['late'])
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
    await arrange({ wrap: { scheduler: flaky }, messenger: { maxRetryAgeMs: 60_000 } })
    const other = await net.spawn(mu, 'recorder', { name: 'other' })
    const [a, b] = [processIdOf(target), processIdOf(other)]
    const sent = send({ Messages: [to(a, 'held 1'), to(a, 'after it'), to(b, 'free')] })
    await eventually('the free one', async () => (await dataOf(other)).length === 1)
    assert.deepEqual(await dataOf(target), [])
    away = false
    await sent
    assert.deepEqual(await dataOf(target), ['held 1', 'after it'])
  })

  it('fails a job whose result cannot be had, and says why', async () => {
    await arrange()
    const missing = await aProcess({ module: anId<ModuleId>('no module'), authorities: [mu.address] })
    await mu.messenger.submit(missing.raw)
    const jobs: CrankProgress[] = []
    for await (const job of mu.messenger.follow(processIdOf(missing), missing.id)) jobs.push(job)
    assert.equal(jobs.at(-1)?.state, 'failed')
    assert.match(jobs.at(-1)?.reason ?? '', /UNKNOWN_MODULE/)
  })

  it('cranks a message that somebody else had ordered, once', async () => {
    await arrange()
    const message = await aMessage(sender, { data: JSON.stringify({ Messages: [to(processIdOf(target), 'cranked')] }) })
    await su.scheduler.schedule(message)
    await mu.messenger.crank(processIdOf(sender), message.id)
    await mu.messenger.crank(processIdOf(sender), message.id)
    await progressOf(message)
    assert.deepEqual(await dataOf(target), ['cranked'])
    await assert.rejects(mu.messenger.crank(processIdOf(sender), anId<MessageId>('none')), { code: 'UNKNOWN_MESSAGE' })
    await assert.rejects(progressOf({ ...message, id: anId<MessageId>('none') }), { code: 'UNKNOWN_MESSAGE' })
  })

  it('refuses new messages when too many are open', async () => {
    await arrange()
    await eventually('quiet', async () => (await mu.disk.queue.size()) === 0)
    await mu.stop()
    mu = await net.node('mu', ['MU'], { disk: mu.disk, messenger: { maxOpenJobs: 0 } })
    await assert.rejects(mu.messenger.submit((await aMessage(sender)).raw), { code: 'OVERLOADED' })
  })

  it('answers STOPPING once it stops', async () => {
    await arrange()
    const { raw } = await aMessage(sender)
    await mu.stop()
    await assert.rejects(async () => mu.mu?.submit(raw), { code: 'STOPPING' })
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

const unitMethods = (unit: Scheduler): Scheduler => ({
  schedule: (message, options) => unit.schedule(message, options),
  assignment: (process, at, options) => unit.assignment(process, at, options),
  process: (process, options) => unit.process(process, options),
  read: (process, range, options) => unit.read(process, range, options),
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

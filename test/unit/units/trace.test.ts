import assert from 'node:assert/strict'
import { traceText } from '../../../src/cli/trace-text.ts'
import { AoError } from '../../../src/lib/errors.ts'
import type { Trace, TracedMessage } from '../../../src/ports/trace.ts'
import type { Scheduler } from '../../../src/ports/units.ts'
import type { DataItem } from '../../../src/protocol/data-item.ts'
import type { MessageId, Nonce } from '../../../src/protocol/ids.ts'
import type { TraceOptions } from '../../../src/units/trace/deps.ts'
import { defaultTraceOptions, UnitTracer } from '../../../src/units/trace/trace.ts'
import { aMessage, anId, processIdOf, testSigner } from '../../support/builders.ts'
import { eventually } from '../../support/eventually.ts'
import { pushBench, to, unitMethods } from '../../support/push-bench.ts'
import { aScriptModule } from '../../support/script-vm.ts'
import type { UnitNode } from '../../support/unit-network.ts'

describe('units/trace', () => {
  const bench = pushBench()
  /** A tracer of that node, asking as that node can. */
  const tracerAt = (node: UnitNode, options: Partial<TraceOptions> = {}): UnitTracer => {
    const { network, arweave } = bench.net
    const { scheduler, compute, address, mu } = node
    const deps = { scheduler, compute, directory: network, remote: network, arweave, local: { address, messenger: mu } }
    return new UnitTracer(deps, { ...defaultTraceOptions, askMs: 500, ...options })
  }
  const trace = (message: DataItem, node = bench.su, options: Partial<TraceOptions> = {}): Promise<Trace> =>
    tracerAt(node, options).trace(processIdOf(bench.sender), message.id)
  const sent = async (outbox: object): Promise<DataItem> => {
    const message = await aMessage(bench.sender, {
      data: JSON.stringify(outbox),
      tags: [{ name: 'Action', value: 'Go' }],
    })
    await bench.mu.messenger.submit(message.raw)
    return message
  }
  const all = (traced: TracedMessage): readonly TracedMessage[] => [
    traced,
    ...traced.parts.flatMap(({ child }) => (child === undefined ? [] : all(child))),
  ]
  const cuAddress = (): string => bench.net.nodes.find(({ name }) => name === 'cu')?.address ?? ''

  it('tells every stage of a message and of all it set off, from any node, over several MUs', async () => {
    const mu2 = await bench.net.node('mu2', ['MU'])
    await bench.arrange()
    const theirs = await bench.net.spawn(bench.mu, 'puppet', { name: 'theirs', authorities: [mu2.address] })
    const onwards = JSON.stringify({ Messages: [to(processIdOf(bench.target), 'deep')] })
    // The other MU is handed a message two hops down, and never hears of the first one.
    const relay = await bench.net.spawn(bench.mu, 'puppet', { name: 'relay', authorities: [bench.mu.address] })
    const relayed = JSON.stringify({ Messages: [to(processIdOf(theirs), onwards)] })
    const child = to('', 'child', [{ name: 'Module', value: (await aScriptModule('recorder')).id }])
    const wallet = testSigner('wallet').address
    const message = await sent({
      Messages: [to(processIdOf(relay), relayed), to(processIdOf(bench.target), 'flat'), to(wallet, 'paper')],
      Spawns: [child],
    })
    await bench.progressOf(message)
    for (const node of [bench.su, bench.mu, mu2]) {
      await eventually('settled', async () => {
        bench.net.arweave.mine()
        const { root } = await trace(message, node)
        return all(root).every(({ settled }) => settled.state === 'done')
      })
      const { root, also, problems, silent, messages, cut } = await trace(message, node)
      assert.deepEqual([problems, silent, cut], [[], [], false])
      assert.equal(root.signer, testSigner().address)
      assert.equal(root.action, 'Go')
      assert.equal(root.ordered.state === 'done' && root.ordered.nonce, 1)
      assert.equal(root.ordered.state === 'done' && root.ordered.scheduler, bench.su.address)
      assert.equal(root.computed.state === 'done' && root.computed.compute, cuAddress())
      assert.deepEqual(
        root.parts.map(({ kind, state }) => `${kind} ${state}`),
        ['message pushed', 'message pushed', 'message pushed', 'spawn pushed'],
      )
      const [toRelay, flat, paper, spawned] = root.parts
      const viaMu2 = toRelay?.child?.parts[0]
      assert.equal(viaMu2?.child?.signer, mu2.address)
      assert.equal(viaMu2?.child?.parts[0]?.child?.process, processIdOf(bench.target))
      assert.equal(flat?.child?.signer, bench.mu.address)
      assert.match(paper?.reason ?? '', /Arweave/)
      assert.equal(spawned?.child?.ordered.state === 'done' && spawned.child.ordered.nonce, 0)
      assert.deepEqual(
        also.map(({ action }) => action),
        ['Spawned'],
      )
      assert.equal(messages, 7)
      const bundle = root.settled.state === 'done' ? root.settled.bundle : anId()
      assert.equal(typeof (await bench.net.arweave.status(bundle)), 'object')
    }
    const text = traceText(await trace(message))
    assert.match(text, /all 7 messages are ordered, computed and pushed/)
    assert.match(text, /✔ ordered {3}nonce 1 at \d{4}-/)
    const byNonce = await tracerAt(bench.su).trace(processIdOf(bench.sender), 1 as Nonce)
    assert.equal(byNonce.root.message, message.id)
  }).timeout(30_000)

  it('tells that a message was never ordered', async () => {
    await bench.arrange()
    const message = await aMessage(bench.sender, { data: 'lost' })
    const { root, problems } = await trace(message)
    assert.equal(root.ordered.state, 'waiting')
    assert.equal(problems.length, 1)
    assert.match(problems[0]?.reason ?? '', /never accepted/)
    assert.match(traceText(await trace(message)), /waiting: ordered of/)
    await assert.rejects(tracerAt(bench.su).trace(anId('nobody'), anId<MessageId>('x')), { code: 'UNKNOWN_PROCESS' })
  })

  it('tells whom it could not ask', async () => {
    await bench.arrange()
    const message = await sent({ Messages: [to(processIdOf(bench.target), 'x')] })
    await bench.progressOf(message)
    bench.net.network.down.add(bench.su.address)
    const away = await trace(message, bench.mu)
    assert.equal(away.root.ordered.state, 'unknown')
    assert.match(away.problems[0]?.reason ?? '', /PEER_UNREACHABLE/)
    bench.net.network.down.clear()
    bench.net.network.down.add(bench.mu.address)
    const silent = await trace(message, bench.su)
    assert.deepEqual(
      silent.silent.map(({ messenger }) => messenger),
      [bench.mu.address],
    )
    assert.equal(silent.root.pushed.state, 'unknown')
    assert.match(traceText(silent), /could not be asked: PEER_UNREACHABLE/)
  })

  it('tells what nobody pushes, and how to have it pushed', async () => {
    await bench.arrange()
    const data = JSON.stringify({ Messages: [to(processIdOf(bench.target), 'x')] })
    const message = await aMessage(bench.sender, { data })
    await bench.su.scheduler.schedule(message)
    const { root, problems } = await trace(message)
    assert.equal(root.pushed.state, 'unknown')
    assert.match(problems[0]?.reason ?? '', new RegExp(`1 parts.*aonet crank ${bench.sender.id} ${message.id}`))
    const silent = await aMessage(bench.sender, { data: 'sends nothing' })
    await bench.su.scheduler.schedule(silent)
    assert.deepEqual((await trace(silent)).problems, [])
  })

  it('tells what a Process failed with, and what is not computed', async () => {
    await bench.arrange()
    const message = await sent({ Error: 'out of luck' })
    await bench.progressOf(message)
    const { root, problems } = await trace(message)
    assert.equal(root.computed.state === 'done' && root.computed.error, 'out of luck')
    assert.deepEqual(problems, [])
    bench.net.network.down.add(cuAddress() as never)
    const later = await aMessage(bench.sender, { data: 'later' })
    await bench.su.scheduler.schedule(later)
    const { computed } = (await trace(later)).root
    assert.equal(computed.state, 'unknown')
    assert.match(computed.state === 'unknown' ? computed.reason : '', /PEER_UNREACHABLE/)
  })

  it('tells where a part waits and why, and why it was given up', async () => {
    const away = (unit: Scheduler): Scheduler => ({
      ...unitMethods(unit),
      schedule: async (item, options) => {
        if (String(item.data) === 'held') throw new AoError('PEER_UNREACHABLE', 'the SU is away')
        return unit.schedule(item, options)
      },
    })
    await bench.arrange({ wrap: { scheduler: away }, messenger: { maxRetryAgeMs: 400 } })
    const message = await sent({ Messages: [to(processIdOf(bench.target), 'held')] })
    const reasonIn = async (state: string): Promise<string | undefined> =>
      (await trace(message)).problems.find(problem => problem.state === state && problem.stage === 'pushed')?.reason
    const waiting = await eventually('a wait', () => reasonIn('waiting'))
    assert.match(waiting, new RegExp(`MU ${bench.mu.address}, after \\d+ failed attempts`))
    const failed = await eventually('the end', () => reasonIn('failed'))
    assert.match(failed, /1 of 1 parts failed/)
    const part = (await trace(message)).problems.find(({ stage }) => stage === 'part')
    assert.match(part?.reason ?? '', /given up: PEER_UNREACHABLE: the SU is away/)
  })

  it('looks at a limited number of messages and says that there are more', async () => {
    await bench.arrange({ messenger: { maxDepth: 20 } })
    const loop = await bench.net.spawn(bench.mu, 'endless')
    const start = await aMessage(loop, { data: 'go' })
    await bench.mu.messenger.submit(start.raw)
    await bench.progressOf(start)
    const found = await tracerAt(bench.su, { maxMessages: 7 }).trace(processIdOf(loop), start.id)
    assert.deepEqual([found.cut, found.messages, all(found.root).length], [true, 7, 7])
    const whole = await tracerAt(bench.su).trace(processIdOf(loop), start.id)
    assert.equal(whole.messages, 21)
    assert.match(whole.problems.at(-1)?.reason ?? '', /20 hops/)
  })

  it('runs few at once', async () => {
    await bench.arrange()
    const message = await sent({})
    const tracer = tracerAt(bench.su, { maxTraces: 1 })
    const first = tracer.trace(processIdOf(bench.sender), message.id)
    await assert.rejects(tracer.trace(processIdOf(bench.sender), message.id), { code: 'OVERLOADED' })
    await first
    await tracer.trace(processIdOf(bench.sender), message.id)
  })
})

import assert from 'node:assert/strict'
import { silentLogger, silentMetrics } from '../../../src/lib/telemetry.ts'
import { echoFormat, echoModule } from '../../../src/modules/echo/echo.ts'
import type { LiveProcess, ProcessSetup } from '../../../src/ports/vm.ts'
import type { ProcessId } from '../../../src/protocol/ids.ts'
import { LiveProcess as LocalProcess } from '../../../src/vm/live-process.ts'
import { WorkerVmPool, type WorkerVmPoolOptions } from '../../../src/vm/pool.ts'
import { wasmVm } from '../../../src/vm/wasm-vm.ts'
import { idOf, mebibytes, messageOf, setupOf, spawnOf } from '../../support/modules/process.ts'
import { compileWat } from '../../support/modules/wat.ts'

const echo = { bytes: echoModule(), format: echoFormat }
const [a, b, c] = [idOf('a'), idOf('b'), idOf('c')] as const

const action = (process: ProcessId, nonce: number, name: string, more: Record<string, string> = {}) =>
  messageOf(process, nonce, { tags: { Action: name, ...more }, from: idOf('sender') })

const count = (to: number): number[] => Array.from({ length: to }, (_, i) => i + 1)

describe('the pool of workers', function () {
  this.timeout(60_000)
  const started: WorkerVmPool[] = []
  const counted: [name: string, label: string][] = []
  const labels = (name: string): string[] => counted.flatMap(([counter, label]) => (counter === name ? [label] : []))
  const lost = () => labels('aonet_vm_workers_lost_total')
  const moves = () => labels('aonet_vm_moves_total')

  const startPool = async (options: Partial<WorkerVmPoolOptions> = {}): Promise<WorkerVmPool> => {
    const metrics = {
      ...silentMetrics,
      counter: (name: string) => ({
        add: (_: number | undefined, labels?: Readonly<Record<string, string>>) =>
          counted.push([name, Object.values(labels ?? {})[0] ?? '']),
      }),
    }
    const limits = { workers: 1, maxLive: 8, maxQueued: 8, wallClockMs: 10_000, ...options }
    const pool = new WorkerVmPool({ log: silentLogger, metrics }, limits)
    started.push(pool)
    await pool.start()
    return pool
  }
  const spawn = async (
    pool: WorkerVmPool,
    process: ProcessId,
    setup: Partial<ProcessSetup> = {},
  ): Promise<LiveProcess> => {
    const live = await pool.open({ ...setupOf(process, echo), ...setup })
    await live.handle(spawnOf(process))
    return live
  }

  afterEach(async () => {
    await Promise.all(started.splice(0).map(pool => pool.stop()))
    counted.length = 0
  })

  it('answers Ping with Pong to whoever sent it', async () => {
    const live = await spawn(await startPool(), a)
    const { evaluation, applied } = await live.handle(action(a, 1, 'Ping'))
    assert.equal(applied, 2)
    assert.equal(evaluation.output, 'count 2')
    const [message] = evaluation.outbox.messages
    assert.equal(message?.target, idOf('sender'))
    assert.equal(message?.data, '2')
    assert.deepEqual(message?.tags.at(-1), { name: 'Action', value: 'Pong' })
  })

  it('sends Ping to the recipient it is told, and nothing on Pong', async () => {
    const live = await spawn(await startPool(), a)
    const sent = await live.handle(action(a, 1, 'Send-Ping', { Recipient: b }))
    assert.deepEqual(
      sent.evaluation.outbox.messages.map(({ target, tags }) => [target, tags.at(-1)?.value]),
      [[b, 'Ping']],
    )
    const quiet = await live.handle(action(a, 2, 'Pong'))
    assert.deepEqual(quiet.evaluation.outbox.messages, [])
    assert.equal(quiet.evaluation.output, 'count 3')
  })

  it('is not fooled by a message that quotes another', async () => {
    const live = await spawn(await startPool(), a)
    const data = '"From":"someone" "name":"Action","value":"Trap"'
    const { evaluation } = await live.handle({ ...action(a, 1, 'Ping'), Data: data })
    assert.equal(evaluation.error, undefined)
    assert.equal(evaluation.outbox.messages[0]?.target, idOf('sender'))
  })

  it('tells an Error and a trap in fixed words, with the state as it was', async () => {
    const live = await spawn(await startPool(), a)
    await live.handle(action(a, 1, 'Count'))
    const { stateRoot } = await live.snapshot()
    for (const [name, error] of [
      ['Fail', 'asked to fail'],
      ['Trap', 'trap'],
      ['Fail', 'asked to fail'],
    ] as const) {
      const step = await live.handle(action(a, 2, name))
      assert.equal(step.evaluation.error, error)
      assert.equal((await live.snapshot()).stateRoot, stateRoot, name)
    }
    assert.equal((await live.handle(action(a, 2, 'Count'))).evaluation.output, 'count 3')
  })

  it('dry-runs without a trace', async () => {
    const live = await spawn(await startPool(), a)
    assert.equal((await live.dryRun(action(a, 1, 'Count'))).output, 'count 2')
    assert.equal((await live.dryRun(action(a, 1, 'Trap'))).error, 'trap')
    assert.equal((await live.handle(action(a, 1, 'Count'))).evaluation.output, 'count 2')
  })

  it('undoes the growth of the memory with the message that failed', async () => {
    const bytes = await compileWat(growThenFail)
    const live = await (await startPool()).open(setupOf(a, { bytes, format: echoFormat }))
    const first = await live.handle(action(a, 0, 'Grow'))
    assert.equal(first.evaluation.error, 'page 3')
    const second = await live.handle(action(a, 1, 'Grow'))
    assert.equal(second.evaluation.error, 'page 3')
  })

  it('ends a worker that spins, and the Processes that spun go on once opened again', async () => {
    const pool = await startPool({ wallClockMs: 1500 })
    const spinning = await spawn(pool, a)
    const before = await spinning.handle(action(a, 1, 'Count'))
    await assert.rejects(spinning.handle(action(a, 2, 'Spin')), { code: 'DEADLINE' })
    await assert.rejects(spinning.handle(action(a, 2, 'Count')), { code: 'NOT_READY' })
    assert.deepEqual(lost(), ['wall-clock'])

    const again = await spawn(pool, a)
    assert.deepEqual(await again.handle(action(a, 1, 'Count')), before)
    assert.equal((await again.handle(action(a, 2, 'Count'))).evaluation.output, 'count 3')
  })

  it('lets no Process that spins harm or hold up those of its worker', async () => {
    const pool = await startPool({ wallClockMs: 4000 })
    const [spinning, innocent] = [await spawn(pool, a), await spawn(pool, b)]
    let ended = false
    const spin = assert.rejects(spinning.handle(action(a, 1, 'Spin')), { code: 'DEADLINE' }).then(() => (ended = true))
    for (let nonce = 1; nonce <= 10; nonce++) {
      assert.equal((await innocent.handle(action(b, nonce, 'Count'))).evaluation.output, `count ${nonce + 1}`)
    }
    assert.equal(ended, false)
    await spin
    assert.equal((await innocent.handle(action(b, 11, 'Count'))).evaluation.output, 'count 12')
  })

  it('evaluates what takes long elsewhere, with the results, gas and roots of one that stays, in the order of calls', async () => {
    const names = Array.from({ length: 60 }, (_, i) =>
      i === 3 || i === 4 || i === 50 ? 'Spin' : i % 7 === 2 ? 'Fail' : 'Count',
    )
    const messages = [spawnOf(a), ...names.map((name, i) => action(a, i + 1, name))]
    const limits = { memoryBytes: mebibytes(1), gas: 5_000_000_000n }
    const pool = await startPool({ maxQueued: 100 })
    const live = await pool.open({ ...setupOf(a, echo), limits })
    const steps = await Promise.all(messages.map(message => live.handle(message)))

    const module = wasmVm.prepare(echo.bytes, echo.format, limits)
    const stays = await LocalProcess.open(module, { environment: setupOf(a, echo).environment, gas: limits.gas })
    for (const [i, message] of messages.entries())
      assert.deepEqual(steps[i], await stays.handle(message), `message ${i}`)
    assert.deepEqual(moves(), ['slow', 'quick', 'slow']) // there, back after a while of short ones, there again
    assert.deepEqual(steps.filter(({ evaluation }) => evaluation.error === 'out of gas').length, 3)
  })

  it('answers a dry-run that takes long as one that does not, and keeps nothing of it', async () => {
    const pool = await startPool()
    const live = await pool.open({ ...setupOf(a, echo), limits: { memoryBytes: mebibytes(1), gas: 5_000_000_000n } })
    await live.handle(spawnOf(a))
    assert.equal((await live.dryRun(action(a, 1, 'Spin'))).error, 'out of gas')
    assert.equal((await live.handle(action(a, 1, 'Count'))).evaluation.output, 'count 2')
    assert.deepEqual(moves(), ['slow'])
  })

  it('drops the instance that was used longest ago when a worker holds too many', async () => {
    const pool = await startPool({ maxLive: 2 })
    const [first, second] = [await spawn(pool, a), await spawn(pool, b)]
    await first.handle(action(a, 1, 'Count'))
    await spawn(pool, c)
    await assert.rejects(second.handle(action(b, 1, 'Count')), { code: 'NOT_READY' })
    assert.equal((await first.handle(action(a, 2, 'Count'))).evaluation.output, 'count 3')
  })

  it('asks for the bytes of a Module once per worker', async () => {
    const pool = await startPool()
    let loads = 0
    const loadModule = async (): Promise<Uint8Array> => {
      loads++
      return echo.bytes
    }
    await spawn(pool, a, { loadModule })
    await spawn(pool, b, { loadModule })
    assert.equal(loads, 1)
  })

  it('refuses a call when too many wait', async () => {
    const pool = await startPool({ maxQueued: 2, wallClockMs: 1500 })
    const [live, other] = [await spawn(pool, a), await spawn(pool, b)]
    const calls = count(12).map(nonce => live.handle(action(a, nonce, nonce === 1 ? 'Spin' : 'Count')))
    const refused = await Promise.allSettled([other.handle(action(b, 1, 'Count')), other.dryRun(action(b, 1, 'Count'))])
    for (const call of refused) assert.equal(call.status === 'rejected' && call.reason.code, 'OVERLOADED')
    // Behind a message that was taken none is refused, or it would be evaluated without the one before.
    const codes = (await Promise.allSettled(calls)).map(call => call.status === 'rejected' && call.reason.code)
    assert.deepEqual(codes, ['DEADLINE', ...count(11).map(() => 'NOT_READY')])
  })

  it('takes a waiting call back when its caller gives up', async () => {
    const live = await spawn(await startPool(), a)
    const gaveUp = new AbortController()
    const before = count(8).map(nonce => live.handle(action(a, nonce, 'Count'))) // the worker is given these at once
    const waiting = live.handle(action(a, 9, 'Count'), { signal: gaveUp.signal })
    const after = live.handle(action(a, 9, 'Count'))
    gaveUp.abort()
    await assert.rejects(waiting, { code: 'ABORTED' })
    assert.equal((await before.at(-1))?.evaluation.output, 'count 9')
    assert.equal((await after).evaluation.output, 'count 10')
  })

  it('refuses formats it does not know and bytes that are no module', async () => {
    const pool = await startPool()
    for (const setup of [
      setupOf(a, { ...echo, format: 'wasm99-unknown' }),
      setupOf(a, { ...echo, module: 'garbage', bytes: Buffer.from('not Wasm at all') }),
      setupOf(a, { ...echo, module: 'short', bytes: echo.bytes.subarray(0, 200) }),
      setupOf(a, { ...echo, module: 'other', format: 'wasm32-unknown-emscripten4' }),
    ]) {
      await assert.rejects(pool.open(setup), { code: 'UNSUPPORTED_MODULE' }, setup.module)
    }
    await spawn(pool, a) // and is none the worse for it
  })

  it('passes on why a Module could not be loaded', async () => {
    const pool = await startPool()
    const failure = new Error('no such module')
    const loadModule = (): Promise<Uint8Array> => Promise.reject(failure)
    await assert.rejects(pool.open({ ...setupOf(a, { ...echo, module: 'absent' }), loadModule }), failure)
  })

  it('answers NOT_READY for a closed instance and before the start, STOPPING after the end', async () => {
    const pool = await startPool()
    const live = await spawn(pool, a)
    const other = await spawn(pool, b)
    await live.close()
    await assert.rejects(live.handle(action(a, 1, 'Count')), { code: 'NOT_READY' })
    await pool.stop()
    await assert.rejects(other.handle(action(b, 1, 'Count')), { code: 'STOPPING' })
    await assert.rejects(pool.open(setupOf(a, echo)), { code: 'NOT_READY' })
  })

  it('spreads Processes over its workers and keeps each where it is', async () => {
    const pool = await startPool({ workers: 2, maxLive: 6, maxQueued: 100 })
    const names = Array.from({ length: 12 }, (_, i) => idOf(`process ${i}`))
    const lives = await Promise.all(names.map(name => pool.open(setupOf(name, echo))))
    const after = await Promise.allSettled(lives.map((live, i) => live.handle(spawnOf(names[i] ?? a))))
    const alive = after.filter(({ status }) => status === 'fulfilled').length
    assert.ok(alive > 6, `one worker holds 6, and ${alive} are alive`)
  })
})

/** Grows its memory by a page, and answers with an Error that tells how many pages it has: always 3, if growth is undone. */
const growThenFail = String.raw`
(module
  (memory (export "memory") 2)
  (data (i32.const 0) "{\"ok\":true,\"response\":{\"Error\":\"page 0\"}}")
  (func (export "alloc") (param i32) (result i32) (i32.const 4096))
  (func (export "handle") (param i32 i32) (result i64)
    (drop (memory.grow (i32.const 1)))
    (i32.store8 (i32.const 37) (i32.add (i32.const 48) (memory.size)))
    (i64.const 41)))
`

import assert from 'node:assert/strict'
import { silentLogger, silentMetrics } from '../../../src/lib/telemetry.ts'
import { echoFormat, echoModule } from '../../../src/modules/echo/echo.ts'
import type { LiveProcess, VmMessage } from '../../../src/ports/vm.ts'
import type { ProcessId } from '../../../src/protocol/ids.ts'
import { WorkerVmPool, type WorkerVmPoolOptions } from '../../../src/vm/pool.ts'
import { eventually } from '../../support/eventually.ts'
import { idOf, mebibytes, messageOf, setupOf, spawnOf } from '../../support/modules/process.ts'

const echo = { bytes: echoModule(), format: echoFormat }
const [a, b, c] = [idOf('a'), idOf('b'), idOf('c')] as const
const action = (process: ProcessId, nonce: number, name: string): VmMessage =>
  messageOf(process, nonce, { tags: { Action: name }, from: idOf('sender') })
const numberIn = (output: unknown): number => Number(/count (\d+)/.exec(String(output))?.[1])
/** Enough for a few seconds of `Spin`. */
const gas = 120_000_000_000n

describe('dry-runs', function () {
  this.timeout(60_000)
  const pools: WorkerVmPool[] = []
  const gauges = new Map<string, () => number>()
  const gauge = (name: string): number => gauges.get(name)?.() ?? Number.NaN

  const startPool = async (options: Partial<WorkerVmPoolOptions> = {}): Promise<WorkerVmPool> => {
    const metrics = {
      ...silentMetrics,
      gauge: (name: string, _help: string, read?: () => number) => {
        if (read !== undefined) gauges.set(name, read)
        return { set: () => undefined }
      },
    }
    const limits = { workers: 1, maxLive: 16, maxQueued: 200, wallClockMs: 20_000, asideWorkers: 2, ...options }
    const pool = new WorkerVmPool({ log: silentLogger, metrics }, limits)
    pools.push(pool)
    await pool.start()
    return pool
  }
  const spawn = async (pool: WorkerVmPool, process: ProcessId, much = gas): Promise<LiveProcess> => {
    const live = await pool.open({ ...setupOf(process, echo), limits: { memoryBytes: mebibytes(1), gas: much } })
    await live.handle(spawnOf(process))
    return live
  }

  afterEach(async () => {
    await Promise.all(pools.splice(0).map(pool => pool.stop()))
    gauges.clear()
  })

  it('fifty at once beside live messages: each sees a state that was, and none leaves a trace', async () => {
    const messages = Array.from({ length: 150 }, (_, i) => action(a, i + 1, i % 10 === 7 ? 'Fail' : 'Count'))
    const alone = await spawn(await startPool(), a)
    const expected = await Promise.all(messages.map(message => alone.handle(message)))
    const root = (await alone.snapshot()).stateRoot

    const live = await spawn(await startPool(), a)
    let most = 0
    let done = 1
    const dryRun = async (name: string): Promise<void> => {
      const before = done
      const { output, error } = await live.dryRun(action(a, 0, name))
      most = Math.max(most, gauge('aonet_vm_forks'))
      if (name === 'Trap') assert.equal(error, 'trap')
      else {
        assert.ok(numberIn(output) > before, `asked after ${before}, and saw ${output}`)
        assert.ok(numberIn(output) <= messages.length + 1)
      }
    }
    const steps: unknown[] = []
    const evaluate = async (): Promise<void> => {
      for (const message of messages) {
        const step = await live.handle(message)
        steps.push(step)
        if (step.evaluation.error === undefined) done = numberIn(step.evaluation.output)
      }
    }
    const ask = async (i: number): Promise<void> => {
      for (let round = 0; round < 4; round++) await dryRun(i % 9 === 4 ? 'Trap' : 'Count')
    }
    await Promise.all([evaluate(), ...Array.from({ length: 50 }, (_, i) => ask(i))])
    assert.deepEqual(steps, expected)
    assert.equal((await live.snapshot()).stateRoot, root)
    assert.equal(numberIn((await live.dryRun(action(a, 0, 'Count'))).output), done + 1)
    assert.equal(most, 2) // side by side on both threads
  })

  it('one that spins holds up neither the live Process nor other dry-runs, of it or of others', async () => {
    const pool = await startPool({ asideWorkers: 1 })
    const [live, other] = [await spawn(pool, a), await spawn(pool, b)]
    let isOver = false
    const spinning = live.dryRun(action(a, 1, 'Spin')).finally(() => {
      isOver = true
    })
    for (let nonce = 1; nonce <= 5; nonce++) {
      await live.handle(action(a, nonce, 'Count'))
      assert.equal((await live.dryRun(action(a, 0, 'Count'))).output, `count ${nonce + 2}`)
      assert.equal((await other.dryRun(action(b, 0, 'Count'))).output, 'count 2')
    }
    assert.equal(isOver, false)
    assert.equal((await spinning).error, 'out of gas')
    await eventually('the one that spun is closed', () => gauge('aonet_vm_forks') === 2)
  })

  it('refuses one that takes long when as many do already, and those that would wait beyond the limit', async () => {
    const pool = await startPool({ asideWorkers: 1, forks: { maxSlow: 1, maxWaiting: 3 } })
    const live = await spawn(pool, a)
    await live.dryRun(action(a, 0, 'Count'))
    const spinning = live.dryRun(action(a, 1, 'Spin'))
    await assert.rejects(live.dryRun(action(a, 1, 'Spin')), { code: 'OVERLOADED' })
    assert.equal((await live.dryRun(action(a, 0, 'Count'))).output, 'count 2') // and is none the worse for it

    const crowd = await Promise.allSettled(Array.from({ length: 10 }, () => live.dryRun(action(a, 0, 'Count'))))
    const refused = crowd.filter(each => each.status === 'rejected' && each.reason.code === 'OVERLOADED')
    assert.equal(crowd.filter(({ status }) => status === 'fulfilled').length, 4) // one at work and three that wait
    assert.equal(refused.length, 6)
    assert.equal(gauge('aonet_vm_dry_runs_waiting'), 0)
    assert.equal((await spinning).error, 'out of gas')
  })

  it('copies share a budget: the one at rest for longest makes room, and who needs it again has it anew', async () => {
    const forks = { maxForks: 2, maxForksEach: 1 }
    const pool = await startPool({ forks })
    const lives = await Promise.all([a, b, c].map(process => spawn(pool, process)))
    for (let round = 0; round < 3; round++) {
      const outputs = await Promise.all(lives.map((live, i) => live.dryRun(action([a, b, c][i] ?? a, 0, 'Count'))))
      for (const { output } of outputs) assert.equal(output, 'count 2')
      assert.equal(gauge('aonet_vm_forks'), 2)
    }
    for (const live of lives) await live.close()
    assert.equal(gauge('aonet_vm_forks'), 0)
    assert.equal(gauge('aonet_vm_fork_bytes'), 0)
    await assert.rejects(lives[0]?.dryRun(action(a, 0, 'Count')) ?? Promise.resolve(), { code: 'NOT_READY' })

    const small = await startPool({ forks: { maxForkBytes: 1 } })
    for (const process of [a, b]) {
      const live = await spawn(small, process)
      assert.equal((await live.dryRun(action(process, 0, 'Count'))).output, 'count 2') // one alone is let in
      assert.equal(gauge('aonet_vm_forks'), 1)
    }
  })

  it('begins anew when its thread is lost through another', async () => {
    const pool = await startPool({ asideWorkers: 1, wallClockMs: 400, forks: { maxSlow: 8 } })
    const [live, other] = [await spawn(pool, a, 10n ** 13n), await spawn(pool, b)]
    const spinning = ['Spin', 'Spin'].map(name => live.dryRun(action(a, 1, name)))
    const codes = (await Promise.allSettled(spinning)).map(each => each.status === 'rejected' && each.reason.code)
    assert.deepEqual(codes, ['DEADLINE', 'DEADLINE']) // four times the wall clock, each
    assert.equal((await live.handle(action(a, 1, 'Count'))).evaluation.output, 'count 2') // the live one has not noticed
    assert.equal((await other.dryRun(action(b, 0, 'Count'))).output, 'count 2')
  })

  it('leaves when its caller does', async () => {
    const pool = await startPool({ asideWorkers: 1 })
    const live = await spawn(pool, a)
    const gone = new AbortController()
    const first = live.dryRun(action(a, 0, 'Count'))
    const left = live.dryRun(action(a, 0, 'Spin'), { signal: gone.signal })
    assert.equal(gauge('aonet_vm_dry_runs_waiting'), 1)
    gone.abort()
    await assert.rejects(left, { code: 'ABORTED' })
    assert.equal(gauge('aonet_vm_dry_runs_waiting'), 0)
    assert.equal((await first).output, 'count 2')
  })
})

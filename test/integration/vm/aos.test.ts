import assert from 'node:assert/strict'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import type { LiveProcess, Step, VmMessage } from '../../../src/ports/vm.ts'
import type { Evaluation } from '../../../src/protocol/result.ts'
import type { AosModule } from '../../../src/testnet/aos-module.ts'
import { WorkerVmPool } from '../../../src/vm/pool.ts'
import { aosModule } from '../../support/modules/aos.ts'
import { mixedMessages } from '../../support/modules/aos-messages.ts'
import { evalOf, idOf, mebibytes, setupOf, spawnOf } from '../../support/modules/process.ts'

const process_ = idOf('process')
const eval_ = (nonce: number, lua: string): VmMessage => evalOf(process_, nonce, lua)

const text = ({ output }: Evaluation): string => {
  const data = (output as { data?: unknown }).data ?? output
  return typeof data === 'string' ? data : JSON.stringify(data)
}

describe('aos in the pool', function () {
  this.timeout(180_000)
  let aos: AosModule
  let pool: WorkerVmPool
  const pools: WorkerVmPool[] = []

  const startPool = async (): Promise<WorkerVmPool> => {
    const started = new WorkerVmPool(silentTelemetry, { workers: 1, maxLive: 8, maxQueued: 100, wallClockMs: 60_000 })
    pools.push(started)
    await started.start()
    return started
  }
  const spawn = async (where = pool, name = process_): Promise<LiveProcess> => {
    const live = await where.open(setupOf(name, { ...aos, memoryBytes: mebibytes(256) }))
    const { evaluation } = await live.handle(spawnOf(name))
    assert.equal(evaluation.error, undefined)
    return live
  }
  const replay = async (live: LiveProcess, messages: readonly VmMessage[]): Promise<Step[]> => {
    const steps: Step[] = []
    for (const message of messages) steps.push(await live.handle(message))
    return steps
  }

  before(async () => {
    aos = await aosModule()
    pool = await startPool()
  })
  after(() => Promise.all(pools.map(each => each.stop())))

  it('evaluates Lua for the owner of the Process, and remembers', async () => {
    const live = await spawn()
    const steps = await replay(live, [eval_(1, 'Count = 41; return Count + 1'), eval_(2, 'return Count')])
    assert.deepEqual(
      steps.map(({ evaluation }) => text(evaluation)),
      ['42', '41'],
    )
    assert.deepEqual(
      steps.map(({ applied }) => applied),
      [2, 3],
    )
  })

  it('sends what Lua sends', async () => {
    const live = await spawn()
    const target = idOf('friend')
    const { evaluation } = await live.handle(eval_(1, `Send({ Target = "${target}", Action = "Hello", Data = "you" })`))
    const [message] = evaluation.outbox.messages
    assert.equal(message?.target, target)
    assert.equal(message?.data, 'you')
    assert.ok(message?.tags.some(({ name, value }) => name === 'Action' && value === 'Hello'))
  })

  it('undoes a Process that fills its memory, stops itself or recurses without end', async () => {
    const live = await spawn()
    await live.handle(eval_(1, 'Kept = "yes"'))
    const { stateRoot } = await live.snapshot()
    const failures = [
      ['local t = {} for i = 1, 1e9 do t[i] = ("x"):rep(1e6) .. i end', /not enough memory/],
      ['return string.rep("x", 600000000)', /not enough memory/],
      ['os.exit(1)', /^trap$/],
      [
        'local function f() return (string.gsub("a", "a", function() return f() end)) end return f()',
        /C stack overflow/,
      ],
    ] as const
    for (const [lua, error] of failures) {
      const step = await live.handle(eval_(2, lua))
      assert.match(step.evaluation.error ?? 'no error', error, lua)
      assert.equal((await live.snapshot()).stateRoot, stateRoot, lua)
    }
    assert.equal(text((await live.handle(eval_(2, 'return Kept'))).evaluation), 'yes')
  })

  it('gives equal state roots in two pools, whatever else their workers do', async () => {
    const messages = mixedMessages(process_, 70)
    const quiet = await replay(await pool.open(setupOf(process_, aos)), messages)

    const elsewhere = await startPool()
    const neighbour = await spawn(elsewhere, idOf('neighbour'))
    const live = await elsewhere.open(setupOf(process_, aos))
    const busy: Step[] = []
    for (const [nonce, message] of messages.entries()) {
      for (let i = 0; i < 2000; i++) Date.now()
      await neighbour.handle(evalOf(idOf('neighbour'), nonce + 1, 'for i = 1, 2000 do os.clock() end'))
      busy.push(await live.handle(message))
    }
    assert.deepEqual(busy, quiet)
  })

  it('keeps UTC wherever its node stands', async () => {
    const zone = process.env['TZ']
    process.env['TZ'] = 'Asia/Tokyo'
    try {
      assert.equal(new Date(0).getHours(), 9)
      const live = await spawn(await startPool())
      const { evaluation } = await live.handle(eval_(1, 'return os.date("%d %H:%M %z", 86400)'))
      assert.equal(text(evaluation), '02 00:00 +0000')
    } finally {
      if (zone === undefined) delete process.env['TZ']
      else process.env['TZ'] = zone
    }
  })

  it('answers a dry-run from the state and leaves the state alone', async () => {
    const live = await spawn()
    const before = await live.handle(eval_(1, 'Count = 1'))
    assert.equal(text(await live.dryRun(eval_(2, 'Count = Count + 1; return Count'))), '2')
    assert.equal(text(await live.dryRun(eval_(2, 'Count = Count + 1; return Count'))), '2')
    const after = await live.handle(eval_(2, 'return Count'))
    assert.equal(text(after.evaluation), '1')
    assert.equal(after.applied, before.applied + 1)
  })

  for (const name of ['aos2_0_4_32', 'aos2_0_6'] as const) {
    it(`goes on from a snapshot in another worker as one that never stopped: ${name}`, async () => {
      const setup = setupOf(process_, { ...(await aosModule(name)), module: name, memoryBytes: mebibytes(256) })
      const messages = mixedMessages(process_, 130)
      const all = await replay(await pool.open(setup), messages)
      const elsewhere = await startPool()
      for (const stop of [1, 24, 95]) {
        const live = await pool.open(setup)
        await replay(live, messages.slice(0, stop))
        const waiting = live.handle(messages[stop] as VmMessage)
        const image = await live.snapshot() // of the state after the call that was made before
        await waiting
        await live.close()
        const restored = await elsewhere.open({ ...setup, image })
        assert.deepEqual(await replay(restored, messages.slice(stop + 1)), all.slice(stop + 1), `after ${stop}`)
        assert.equal(image.pages[0]?.bytes.length, 0, 'the image was copied instead of handed over')
      }
    })
  }

  for (const name of ['aos2_0_4_32', 'aos2_0_6'] as const) {
    it(`boots from the item that On-Boot names, which only the first message can read: ${name}`, async () => {
      const setup = setupOf(process_, { ...(await aosModule(name)), module: name, memoryBytes: mebibytes(256) })
      const id = idOf('boot')
      const spawned = spawnOf(process_)
      const first = { ...spawned, Tags: [...(spawned['Tags'] as []), { name: 'On-Boot', value: id }] }
      // Longer than any buffer on the way, and with bytes of two kinds.
      const lua = `Booted = "ja, schön" --${'x'.repeat(100_000)}\nLength = #Booted`
      const boot = { id, data: Buffer.from(lua) }
      const run = async (live: LiveProcess) => [
        await live.handle(first, { boot }),
        ...(await replay(live, [
          eval_(1, 'return Booted .. Length'),
          eval_(2, `local f = io.open("/data/${id}"); return tostring(f)`),
          eval_(3, 'return Booted .. Length'),
        ])),
      ]
      const live = await pool.open(setup)
      const steps = await run(live)
      assert.equal(steps[0]?.evaluation.error, undefined)
      assert.equal(steps[1] && text(steps[1].evaluation), 'ja, schön10')
      assert.match(steps[2]?.evaluation.error ?? '', /WeaveDrive/)
      assert.match(steps[3] ? text(steps[3].evaluation) : '', /ja, schön10$/)
      assert.deepEqual(await run(await (await startPool()).open(setup)), steps)
      const other = await pool.open(setup)
      const { evaluation } = await other.handle(first, { boot: { ...boot, id: idOf('other') } })
      assert.match(evaluation.error ?? '', /WeaveDrive/)
    })
  }

  it('refuses a Process less memory than its Module starts with', async () => {
    const setup = setupOf(process_, { ...aos, memoryBytes: mebibytes(16) })
    await assert.rejects(pool.open(setup), { code: 'UNSUPPORTED_MODULE' })
  })

  it('evaluates 64-bit modules too', async () => {
    const wide = await aosModule('aos2_0_6')
    const live = await pool.open(setupOf(process_, { ...wide, module: 'wide', memoryBytes: mebibytes(256) }))
    const [, first, failed, second] = await replay(live, [
      spawnOf(process_),
      eval_(1, 'Count = 41; return Count + 1'),
      eval_(2, 'Count = 0; error("no")'),
      eval_(3, 'return Count .. tostring(os.execute("true"))'),
    ])
    assert.equal(first && text(first.evaluation), '42')
    assert.match(failed?.evaluation.error ?? '', /no/)
    assert.equal(second && text(second.evaluation), '41nil')
  })
})

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import type { LiveProcess, Step, VmMessage } from '../../../src/ports/vm.ts'
import type { Evaluation } from '../../../src/protocol/result.ts'
import type { AosModule } from '../../../src/testnet/aos-module.ts'
import { WorkerVmPool } from '../../../src/vm/pool.ts'
import { aosModule } from '../../support/modules/aos.ts'
import { environmentOf, evalOf, idOf, mebibytes, messageOf, setupOf, spawnOf } from '../../support/modules/process.ts'
import { runStock } from '../../support/modules/stock-loop.ts'

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

  it('gives the results of the stock loop for a long mix of messages, failures among them', async () => {
    const messages = mixedMessages()
    const stock = runStock({ ...aos, environment: environmentOf(process_), messages })
    const live = await pool.open(setupOf(process_, { ...aos, memoryBytes: mebibytes(256) }))
    const ours = (await replay(live, messages)).map(({ evaluation }) => evaluation)
    const expected = await stock
    for (const [nonce, { gasUsed, ...evaluation }] of ours.entries()) {
      assert.ok(gasUsed > 1_000_000n, `message ${nonce} used ${gasUsed} gas`)
      // The stock loop counts no gas for this format.
      assert.deepEqual({ ...evaluation, gasUsed: 0n }, expected[nonce], `message ${nonce}`)
    }
    const failed = ours.filter(({ error }) => error !== undefined).length
    assert.ok(messages.length >= 150 && failed >= 15, `${failed} of ${messages.length} failed`)
  })

  it('has the state of a run that never saw the failures', async () => {
    // A trap leaves more behind than an Error does: the stack pointer, for one, which is not in the memory.
    const messages = mixedMessages().flatMap((message, nonce) =>
      nonce % 20 === 10 ? [message, eval_(nonce, 'os.exit(1)')] : [message],
    )
    const all = await replay(await pool.open(setupOf(process_, aos)), messages)
    const good = messages.filter((_, i) => all[i]?.evaluation.error === undefined)
    const without = await replay(await pool.open(setupOf(process_, aos)), good)
    assert.ok(good.length < messages.length)
    assert.deepEqual(
      without.map(({ stateRoot }) => stateRoot),
      all.filter(({ evaluation }) => evaluation.error === undefined).map(({ stateRoot }) => stateRoot),
    )
  })

  it('undoes a Process that fills its memory, stops itself or recurses without end', async () => {
    const live = await spawn()
    const { stateRoot } = await live.handle(eval_(1, 'Kept = "yes"'))
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
      assert.equal(step.stateRoot, stateRoot, lua)
    }
    assert.equal(text((await live.handle(eval_(2, 'return Kept'))).evaluation), 'yes')
  })

  it('leaves no way to the host: no shell, no files, no environment, no input', async () => {
    const live = await spawn()
    const file = join(tmpdir(), `aonet-escape-${process.pid}`)
    const attempts = [
      [`return tostring(os.execute("touch ${file}"))`, 'nil'],
      [`return tostring(os.execute())`, 'false'],
      [`return tostring(io.open("${file}", "w"))`, 'nil'],
      ['return tostring(io.open("/etc/passwd"))', 'nil'],
      ['return tostring(os.getenv("PATH"))', 'nil'],
      ['return tostring(os.getenv("HOME"))', 'nil'],
      ['return tostring(io.read())', 'nil'],
      [`return tostring(pcall(io.popen, "touch ${file}"))`, 'false'],
    ] as const
    for (const [nonce, [lua, expected]] of attempts.entries()) {
      const { evaluation } = await live.handle(eval_(nonce + 1, lua))
      assert.equal(evaluation.error, undefined, lua)
      assert.equal(text(evaluation), expected, lua)
    }
    assert.equal(existsSync(file), false)
  })

  it('gives equal state roots in two pools, whatever else their workers do', async () => {
    const messages = mixedMessages().slice(0, 40)
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
      const messages = mixedMessages().slice(0, 50)
      const all = await replay(await pool.open(setup), messages)
      const elsewhere = await startPool()
      for (const stop of [1, 24, 31]) {
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
    assert.equal(failed?.stateRoot, first?.stateRoot)
    assert.equal(second && text(second.evaluation), '41nil')
  })
})

/** A spawn, a token with transfers between accounts, Evals of many kinds, and every eighth message a failure. */
function mixedMessages(): VmMessage[] {
  const messages: VmMessage[] = [spawnOf(process_), eval_(1, token)]
  const failures = [
    'error("on purpose")',
    'return nil + 1',
    'Balances = {} ; local x = nil ; return x.y',
    'return string.rep("x", 2000000000)',
    'this is not Lua',
  ]
  for (let nonce = 2; nonce < 152; nonce++) {
    const lua = failures[Math.floor(nonce / 8) % failures.length] ?? ''
    if (nonce % 8 === 7) messages.push(eval_(nonce, lua))
    else if (nonce % 2 === 0) messages.push(transfer(nonce))
    else messages.push(eval_(nonce, evals[nonce % evals.length] ?? ''))
  }
  return messages
}

const transfer = (nonce: number): VmMessage =>
  messageOf(process_, nonce, {
    from: idOf(`account ${nonce % 3}`),
    tags: { Action: 'Transfer', Recipient: idOf(`account ${(nonce + 1) % 5}`), Quantity: String(nonce * 7) },
  })

const evals = [
  'Counter = (Counter or 0) + 1; return Counter',
  'local t = {} for k, v in pairs({ a = 1, b = 2, c = 3 }) do t[#t + 1] = k .. v end return table.concat(t, ",")',
  'return tostring({}) .. tostring(print) .. math.random(1000000)',
  'Log = (Log or "") .. ("x"):rep(5000); return #Log',
  'return os.time() .. os.date("!%Y-%m-%d %H:%M", 86400 * 365) .. os.date("%c", 1700000000)',
  'print("hello"); Send({ Target = ao.id, Action = "Note", Data = "ünïcödé ✓" })',
  'return require("json").encode({ list = { 1, 2, 3 }, text = "quoted \\"text\\"" })',
]

const token = `
  Balances = Balances or {}
  for i = 0, 4 do Balances["start" .. i] = 1000 end
  Handlers.add("transfer", Handlers.utils.hasMatchingTag("Action", "Transfer"), function (msg)
    local from, to, quantity = msg.From, msg.Tags.Recipient, tonumber(msg.Tags.Quantity)
    Balances[from] = (Balances[from] or 1000) - quantity
    Balances[to] = (Balances[to] or 1000) + quantity
    Send({ Target = from, Action = "Debit-Notice", Quantity = tostring(quantity), Data = "sent" })
    Send({ Target = to, Action = "Credit-Notice", Quantity = tostring(quantity), Data = "received" })
  end)
`

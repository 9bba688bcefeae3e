import assert from 'node:assert/strict'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { utf8 } from '../../../src/lib/bytes.ts'
import type { LiveProcess, VmMessage } from '../../../src/ports/vm.ts'
import type { ProcessId } from '../../../src/protocol/ids.ts'
import type { AosModule } from '../../../src/testnet/aos-module.ts'
import type { WorkerVmPool } from '../../../src/vm/pool.ts'
import { jsRunner } from '../../support/determinism/js-limits.ts'
import { aosModule } from '../../support/modules/aos.ts'
import { Pools } from '../../support/modules/pools.ts'
import { evalOf, idOf, mebibytes, messageOf, setupOf, spawnOf } from '../../support/modules/process.ts'

const process_ = idOf('escape')
const file = join(tmpdir(), `aonet-escape-${process.pid}`)
const secret = 'a value that only the host knows'

/** Everything a JavaScript module finds; a name more would be a way that nobody has looked at. */
const jsGlobals = `AggregateError Array ArrayBuffer BigInt BigInt64Array BigUint64Array Boolean DataView Date Error
  EvalError Float16Array Float32Array Float64Array Function Infinity Int16Array Int32Array Int8Array InternalError Iterator JSON Map
  Math NaN Number Object Promise Proxy RangeError ReferenceError Reflect RegExp Set String Symbol SyntaxError TypeError
  URIError Uint16Array Uint32Array Uint8Array Uint8ClampedArray WeakMap WeakSet console decodeURI decodeURIComponent
  encodeURI encodeURIComponent escape eval globalThis isFinite isNaN parseFloat parseInt undefined unescape`

describe('a hostile module', function () {
  this.timeout(120_000)
  const pools = new Pools()
  let aos: AosModule
  before(async () => {
    aos = await aosModule()
    process.env['AONET_SECRET'] = secret
    writeFileSync(file, secret)
  })
  after(() => {
    delete process.env['AONET_SECRET']
    rmSync(file, { force: true })
    return pools.stop()
  })

  const lua = async (pool: WorkerVmPool, name: ProcessId = process_): Promise<LiveProcess> => {
    const live = await pool.open(setupOf(name, { ...aos, memoryBytes: mebibytes(256) }))
    await live.handle(spawnOf(name))
    return live
  }
  const js = async (pool: WorkerVmPool, name: ProcessId = process_): Promise<LiveProcess> =>
    pool.open(
      setupOf(name, { bytes: utf8(jsRunner), format: 'js-quickjs-1', module: 'runner', memoryBytes: mebibytes(64) }),
    )
  const ask = async (live: LiveProcess, message: VmMessage): Promise<string> => {
    const { error, output } = (await live.handle(message)).evaluation
    const data = (output as { data?: unknown } | null)?.data ?? output
    return error ?? (typeof data === 'string' ? data : JSON.stringify(data))
  }
  const runJs = (nonce: number, data: string): VmMessage => messageOf(process_, nonce, { data })

  it('in Lua finds no shell, no file, no library, no environment and no input', async () => {
    const live = await lua(await pools.start())
    const attempts: readonly (readonly [string, string])[] = [
      [`return tostring(os.execute("touch ${file}-new"))`, 'nil'],
      ['return tostring(os.execute())', 'false'],
      [`return tostring(pcall(io.popen, "touch ${file}-new"))`, 'false'],
      [`return tostring(io.open("${file}"))`, 'nil'],
      [`return tostring(io.open("${file}-new", "w"))`, 'nil'],
      [`return tostring(pcall(io.lines, "${file}"))`, 'false'],
      [`return tostring(os.remove("${file}"))`, 'nil'],
      [`return tostring(os.rename("${file}", "${file}-new"))`, 'nil'],
      [`return tostring(loadfile("${file}"))`, 'nil'],
      [`return tostring(pcall(dofile, "${file}"))`, 'false'],
      [`return tostring(package.loadlib("${file}", "*"))`, 'nil'],
      [`return tostring(pcall(require, "${file}"))`, 'false'],
      ['return tostring(io.read())', 'nil'],
      ['return tostring(os.getenv("AONET_SECRET"))', 'nil'],
      ['return tostring(os.getenv("PATH")) .. tostring(os.getenv("HOME"))', 'nilnil'],
      ['return tostring(os.getenv("TZ")) .. tostring(os.getenv("LANG"))', 'nilnil'],
      ['return tostring(os.setlocale("de_DE.UTF-8"))', 'de_DE.UTF-8'], // musl takes any name and changes nothing
      ['return string.format("%.1f", 0.5) .. os.date("%x", 0)', '0.501/01/70'],
    ]
    for (const [i, [code, expected]] of attempts.entries()) {
      assert.equal(await ask(live, evalOf(process_, i + 1, code)), expected, code)
    }
    assert.equal(existsSync(file), true)
    assert.equal(existsSync(`${file}-new`), false)
  })

  it('in Lua is told that there is no WeaveDrive when it reads from there, and the state is as before', async () => {
    const live = await lua(await pools.start())
    const read = (path: string, nonce = 1): Promise<string> =>
      ask(live, evalOf(process_, nonce, `Read = 1; return tostring(io.open("${path}"))`))
    for (const path of [`/data/${idOf('data')}`, `/tx/${idOf('tx')}`, '/block/1400000']) {
      assert.equal(await read(path), `WeaveDrive is not offered here: the Process asked for ${path}`)
    }
    assert.equal(await ask(live, evalOf(process_, 1, 'return tostring(Read)')), 'nil')
    assert.equal(await read('/dataset/of/mine', 2), 'nil')
  })

  it('in JavaScript finds the names of the language and console, and nothing behind them', async () => {
    const live = await js(await pools.start())
    const found = await ask(live, runJs(0, 'return Object.getOwnPropertyNames(globalThis).sort().join(" ")'))
    assert.equal(found, jsGlobals.split(/\s+/).join(' '))
    const attempts: readonly (readonly [string, string])[] = [
      ['return typeof Function("return this")().process', 'undefined'],
      ['return typeof (0, eval)("this").require', 'undefined'],
      [`import("${file}").then(m => { g.leak = m }, e => { g.leak = e }); return "asked"`, 'asked'],
      ['import("os").then(m => { g.leak = m }); import("std").then(m => { g.leak = m }); return "asked"', 'asked'],
      ['return typeof g.leak', 'undefined'],
      ['return new Error().stack.includes("/")', 'false'],
      [`return Object.keys(console).join()`, 'log,info,warn,error,debug,trace'],
    ]
    for (const [i, [code, expected]] of attempts.entries()) {
      assert.equal(await ask(live, runJs(i + 1, code)), expected, code)
    }
  })

  // Each asks for something that differs between hosts, moments and instances, unless it is shut.
  const sources: Readonly<Record<string, (live: LiveProcess) => Promise<string>>> = {
    'the clock, from Lua': live =>
      ask(live, evalOf(process_, 1, 'return os.time() .. " " .. os.date() .. " " .. tostring(os.clock())')),
    'entropy, from Lua': live =>
      ask(live, evalOf(process_, 1, 'return math.random(2^40) .. tostring({}) .. tostring(print) .. os.tmpname()')),
    'the seed of tables, from Lua': live =>
      ask(
        live,
        evalOf(process_, 1, 'local s = "" for k in pairs({ a = 1, b = 1, c = 1, d = 1 }) do s = s .. k end return s'),
      ),
  }
  const jsSources: typeof sources = {
    'the clock, from JavaScript': live =>
      ask(
        live,
        runJs(1, 'const t = Date.now(); for (let i = 0; i < 1e6; i++); return [t, Date.now() - t, "" + new Date()]'),
      ),
    'entropy, from JavaScript': live => ask(live, runJs(1, 'return [Math.random(), Math.random(), Math.random()]')),
    'the time zone, from JavaScript': live =>
      ask(live, runJs(1, 'return [new Date(1e12).getTimezoneOffset(), new Date(1e12).toLocaleString()]')),
  }
  for (const [open, asked] of [
    [lua, sources],
    [js, jsSources],
  ] as const) {
    for (const [what, read] of Object.entries(asked)) {
      it(`cannot tell ${what}, where or when it runs`, async () => {
        const here = await read(await open(await pools.start()))
        const zone = process.env['TZ']
        process.env['TZ'] = 'Asia/Tokyo'
        try {
          const elsewhere = await pools.start()
          await read(await open(elsewhere, idOf('another'))) // what ran before must not show either
          assert.equal(await read(await open(elsewhere)), here)
        } finally {
          if (zone === undefined) delete process.env['TZ']
          else process.env['TZ'] = zone
        }
      })
    }
  }

  it('in JavaScript sees as time the Timestamp of its message, standing still, in UTC', async () => {
    const live = await js(await pools.start())
    const code =
      'const t = Date.now(); for (let i = 0; i < 1e6; i++); return [t, Date.now(), new Date().getTimezoneOffset()]'
    const now = messageOf(process_, 7)['Timestamp']
    assert.equal(await ask(live, runJs(7, code)), JSON.stringify([now, now, 0]))
  })
})

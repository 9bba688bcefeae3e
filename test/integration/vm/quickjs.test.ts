import assert from 'node:assert/strict'
import { utf8 } from '../../../src/lib/bytes.ts'
import type { LiveProcess, ProcessSetup, Step, VmMessage } from '../../../src/ports/vm.ts'
import type { WorkerVmPool } from '../../../src/vm/pool.ts'
import { Pools } from '../../support/modules/pools.ts'
import { idOf, mebibytes, messageOf, setupOf, spawnOf } from '../../support/modules/process.ts'

const process_ = idOf('process')
const setup = (source: string | Uint8Array, more: Partial<ProcessSetup> = {}): ProcessSetup => {
  const bytes = typeof source === 'string' ? utf8(source) : source
  const module = Buffer.from(bytes).toString('latin1')
  return { ...setupOf(process_, { bytes, format: 'js-quickjs-1', memoryBytes: mebibytes(64), module }), ...more }
}
const message = (nonce: number, fields: Parameters<typeof messageOf>[2] = {}): VmMessage =>
  messageOf(process_, nonce, fields)

/** The body of a `handle`, with a counter `n` that survives. */
const handle = (body: string): string => `let n = 0; export function handle(msg, env) { n++; ${body} }`

describe('JavaScript modules in the pool', function () {
  this.timeout(60_000)
  const pools = new Pools()
  let pool: WorkerVmPool
  before(async () => {
    pool = await pools.start()
  })
  after(() => pools.stop())

  const run = async (source: string, count = 1): Promise<Step[]> => steps(await pool.open(setup(source)), count)
  const steps = async (live: LiveProcess, count: number): Promise<Step[]> => {
    const all: Step[] = []
    for (let nonce = 0; nonce < count; nonce++) all.push(await live.handle(message(nonce, { data: String(nonce) })))
    return all
  }
  const outputs = (all: readonly Step[]): unknown[] =>
    all.map(({ evaluation }) => evaluation.error ?? evaluation.output)

  const kinds: Readonly<Record<string, string>> = {
    'an ES module that exports handle': 'let n = 0; export function handle() { return { Output: ++n } }',
    'an ES module that exports it by name, later':
      'let n = 0; const f = () => ({ Output: ++n }); export { f as handle }',
    'a script with a function handle': 'let n = 0; function handle() { return { Output: ++n } }',
    'a bundle of the global name __module':
      '"use strict"; var __module = (() => { let n = 0; return { handle: () => ({ Output: ++n }) } })()',
  }
  for (const [kind, source] of Object.entries(kinds)) {
    it(`takes ${kind}, whose variables are its state`, async () => {
      assert.deepEqual(outputs(await run(source, 3)), [1, 2, 3])
    })
  }

  const refused: Readonly<Record<string, [string | Uint8Array, RegExp]>> = {
    'without handle': ['export const handler = () => 1', /no function named handle/],
    'that is no JavaScript': ['this is not JavaScript', /SyntaxError/],
    'that throws at once': ['throw new Error("not today")', /not today/],
    'that never gets to its end': ['for (;;);', /out of gas/],
    'that imports another': ['import x from "https://example.org/x.js"; export const handle = x', /could not load/],
    'that awaits at its top': ['export const handle = () => 1; await new Promise(() => {})', /handle/],
    'that is not UTF-8': [Uint8Array.of(0x2f, 0x2f, 0xff), /UTF-8/],
    'with a zero byte': ['"\0"', /zero byte/],
    'beyond all measure': [new Uint8Array(5 << 20).fill(0x20), /too big/],
  }
  for (const [kind, [source, reason]] of Object.entries(refused)) {
    it(`refuses one ${kind}`, async () => {
      await assert.rejects(pool.open(setup(source)), (error: Error & { code?: string; facts?: unknown }) => {
        assert.equal(error.code, 'UNSUPPORTED_MODULE')
        assert.match(`${error.message} ${JSON.stringify(error.facts)}`, reason)
        return true
      })
    })
  }

  it('refuses a Process that may have less memory than QuickJS needs', async () => {
    const small = setup('function handle() {}', { limits: { memoryBytes: mebibytes(16), gas: 10n ** 9n } })
    await assert.rejects(pool.open(small), { code: 'UNSUPPORTED_MODULE' })
  })

  it('gives the module the message and its environment, and takes all that it sends', async () => {
    const [step] = await run(`export function handle(msg, env) {
      return {
        Messages: [{ Target: msg.From, Data: msg.Data, Anchor: '7', Tags: [{ name: 'Action', value: 'Pong' }] }],
        Spawns: [{ Data: 'x', Tags: [{ name: 'Module', value: env.Module.Id }] }],
        Assignments: [{ Message: msg.Id, Processes: [env.Process.Id] }],
        Output: [msg.Target === env.Process.Id, Object.isFrozen(env.Process.Tags)],
      } }`)
    const { messages, spawns, assignments } = step?.evaluation.outbox ?? assert.fail()
    assert.deepEqual(messages, [
      { target: message(0)['From'], data: '0', anchor: '7', tags: [{ name: 'Action', value: 'Pong' }] },
    ])
    assert.deepEqual(spawns, [{ data: 'x', anchor: '', tags: [{ name: 'Module', value: idOf('module') }] }])
    assert.equal(assignments[0]?.message, message(0)['Id'])
    assert.deepEqual(step?.evaluation.output, [true, true])
  })

  it('makes of console lines the Output of a message that gives none', async () => {
    const all = await run(handle('console.log("n is", n, { a: 1n }); if (n === 2) return { Output: "own" }'), 3)
    assert.deepEqual(outputs(all), ['n is 1 {"a":"1n"}', 'own', 'n is 3 {"a":"1n"}'])
  })

  it('takes the time from the message, in UTC, and chance from its id alone', async () => {
    const source = handle(
      'return { Output: [Date.now(), new Date().getHours(), new Date(0).toString(), Math.random(), Math.random()] }',
    )
    const live = await pool.open(setup(source))
    const [first, again] = [await live.handle(message(5)), await live.handle(message(5))]
    assert.deepEqual(first.evaluation.output, again.evaluation.output)
    const [now, hours, epoch, one, two] = first.evaluation.output as [number, number, string, number, number]
    assert.equal(now, message(5)['Timestamp'])
    assert.equal(hours, new Date(now).getUTCHours())
    assert.match(epoch, /^Thu Jan 01 1970 00:00:00 GMT\+0000/)
    assert.ok(one > 0 && one < 1 && one !== two)
    const other = await live.handle(message(6))
    assert.notEqual((other.evaluation.output as number[])[3], one)
  })

  it('undoes a message that throws or returns an Error, and drops what it sent', async () => {
    const sent = "Messages: [{ Target: 'x', Tags: [] }]"
    const all = await run(
      handle(`if (n === 2 && msg.Data < 3) throw new RangeError('thrown')
        if (n === 2 && msg.Data < 5) return { Error: 'returned', ${sent} }
        return { Output: n, ${sent} }`),
      7,
    )
    const thrown = 'RangeError: thrown'
    assert.deepEqual(outputs(all), [1, thrown, thrown, 'returned', 'returned', 2, 3])
    assert.deepEqual(
      all.map(({ evaluation }) => evaluation.outbox.messages.length),
      [1, 0, 0, 0, 0, 1, 1],
    )
  })

  const errors: Readonly<Record<string, [string, string]>> = {
    'a promise': ['return Promise.resolve({})', 'TypeError: handle must not be asynchronous'],
    'a number': ['return 7', 'TypeError: handle must return a result object or nothing'],
    'messages that are no list': ['return { Messages: {} }', 'TypeError: Messages of a result must be an array'],
    'an Output that JSON cannot hold': ['return { Output: 1n }', 'TypeError: Do not know how to serialize a BigInt'],
    'a ring': ['const a = []; a[0] = a; return { Output: a }', 'TypeError: circular reference'],
    'something odd thrown': ['throw { toString() { throw 1 } }', 'thrown: {}'],
    'something unspeakable thrown': [
      'throw { get x() { throw 1 }, toJSON() { throw 2 } }',
      'the module threw something that cannot be shown',
    ],
    'an answer that its own toJSON takes away': [
      'Object.prototype.toJSON = () => undefined; return {}',
      'the answer is not JSON',
    ],
  }
  for (const [what, [body, error]] of Object.entries(errors)) {
    it(`gives an Error for ${what}, and goes on`, async () => {
      const [first, second] = await run(handle(`if (msg.Data === '0') { ${body} } return { Output: n }`), 2)
      assert.equal(first?.evaluation.error, error)
      assert.equal(second?.evaluation.output, 1)
    })
  }

  it('never runs what a promise would run later', async () => {
    assert.deepEqual(
      outputs(await run(handle('Promise.resolve().then(() => { n += 100 }); return { Output: n }'), 3)),
      [1, 2, 3],
    )
  })

  it('answers a dry-run from the state and leaves the state alone', async () => {
    const live = await pool.open(setup(handle('return { Output: n }')))
    await live.handle(spawnOf(process_))
    assert.equal((await live.dryRun(message(1))).output, 2)
    assert.equal((await live.dryRun(message(1))).output, 2)
    assert.equal((await live.handle(message(1))).evaluation.output, 2)
  })

  it('gives equal results, gas and roots in two pools, one of them busy with others', async () => {
    const source = handle(`
      globalThis.book ??= new Map()
      for (let i = 0; i < 50; i++) book.set(Math.random(), 'x'.repeat(i * n))
      if (n % 5 === 0) throw new Error('no')
      return { Output: [book.size, n, String(new Date())] }`)
    const quiet = await run(source, 30)
    const elsewhere = await pools.start()
    const neighbour = await elsewhere.open(setup(handle('return { Output: "x".repeat(1e5) + Math.random() }')))
    const live = await elsewhere.open(setup(source))
    const busy: Step[] = []
    for (let nonce = 0; nonce < 30; nonce++) {
      await neighbour.handle(message(nonce))
      busy.push(await live.handle(message(nonce, { data: String(nonce) })))
    }
    assert.deepEqual(busy, quiet)
  })
})

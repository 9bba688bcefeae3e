import assert from 'node:assert/strict'
import { utf8 } from '../../../src/lib/bytes.ts'
import type { LiveProcess } from '../../../src/ports/vm.ts'
import type { WorkerVmPool } from '../../../src/vm/pool.ts'
import { jsLimits, jsRunner } from '../../support/determinism/js-limits.ts'
import { Pools } from '../../support/modules/pools.ts'
import { idOf, mebibytes, messageOf, setupOf } from '../../support/modules/process.ts'

const process_ = idOf('limits')
const gas = 400_000_000n
const memoryBytes = mebibytes(48)

/** How each case ends that does not end well; all others give an Output. */
const outcomes: Readonly<Record<string, readonly string[]>> = {
  'out of gas': [
    'endless loop',
    'endless loop that catches',
    'endless loop that makes garbage',
    'endless generator',
    'endless destructuring',
    'endless valueOf',
    'regexp that backtracks',
    'regexp with two loops',
    'regexp over a long text',
    'replace with a callback',
    'BigInt power without end',
    'map hog',
    'object hog',
    'endless typed array fill',
    'array of a length',
    'hog that survives its error',
    'JSON of a deep object',
  ],
  'stack overflow': [
    'JSON nested too deep',
    'source nested too deep',
    'arrays nested too deep',
    'proxies in a row',
    'getters that call themselves',
    'toString that calls itself',
    'recursion through apply',
  ],
  'InternalError: stack overflow': ['recursion through sort'],
  'InternalError: out of memory': ['array hog', 'text without end'],
  'InternalError: string too long': ['text hog'],
  'SyntaxError: too many captures': ['regexp nested too deep'],
  'RangeError: BigInt is too large to allocate': ['BigInt shift without bound'],
  'RangeError: invalid array buffer length': ['buffer of a size'],
  'RangeError: invalid string length': ['padding without end'],
  'the answer is nested deeper than 128 levels': ['deep answer'],
}
const outcomeOf = (name: string): string | undefined =>
  Object.entries(outcomes).find(([, names]) => names.includes(name))?.[0]

describe('the limits of JavaScript modules', function () {
  this.timeout(120_000)
  const pools = new Pools()
  let pool: WorkerVmPool
  before(async () => {
    pool = await pools.start()
  })
  after(() => pools.stop())

  const open = (source = jsRunner, limits = { memoryBytes, gas }): Promise<LiveProcess> =>
    pool.open({
      ...setupOf(process_, { bytes: utf8(source), format: 'js-quickjs-1', module: source }),
      limits,
    })
  const run = async (live: LiveProcess, data: string, nonce = 1) =>
    (await live.handle(messageOf(process_, nonce, { data }))).evaluation

  it(`end each of ${Object.keys(jsLimits).length} ways to use too much in a known way, and the state is as before`, async () => {
    const live = await open()
    await run(live, 'g.kept = "yes"')
    for (const [name, code] of Object.entries(jsLimits)) {
      const before = await live.snapshot()
      const evaluation = await run(live, code)
      assert.equal(evaluation.error, outcomeOf(name), name)
      if (evaluation.error === undefined) continue
      const after = await live.snapshot()
      assert.equal(after.stateRoot, before.stateRoot, name)
      assert.equal(after.memoryBytes, before.memoryBytes, name)
      assert.equal(evaluation.gasUsed === gas, evaluation.error === 'out of gas', name)
    }
    assert.equal((await run(live, 'return g.kept')).output, 'yes')
  })

  it('cannot be caught where gas or the depth of calls ends, and can where memory or its own stack does', async () => {
    const live = await open()
    const attempt = async (code: string): Promise<unknown> => {
      const { error, output } = await run(
        live,
        `try { ${code} } catch (e) { return 'caught ' + e } finally { g.x = 1 }`,
      )
      return error ?? output
    }
    assert.equal(await attempt('for (;;);'), 'out of gas')
    assert.equal(await attempt('JSON.parse("[".repeat(1e5))'), 'stack overflow')
    assert.equal(await attempt('(function f() { f() })()'), 'caught InternalError: stack overflow')
    assert.equal(
      await attempt('for (const a = [];;) a.push(new Uint8Array(1e6))'),
      'caught InternalError: out of memory',
    )
  })

  it('let memory grow in whole steps up to the limit, the same each time, and never shrink', async () => {
    const sizes: number[][] = []
    for (let i = 0; i < 2; i++) {
      const live = await open()
      const grown: number[] = []
      for (let round = 0; round < 12; round++) {
        const { error } = await run(live, '(g.all ??= []).push(new Uint8Array(4e6)); return g.all.length')
        if (error !== undefined) assert.equal(error, 'InternalError: out of memory')
        grown.push((await live.snapshot()).memoryBytes)
      }
      assert.match(String((await run(live, 'return g.all.length')).output), /^(10|11)$/)
      sizes.push(grown)
    }
    const [first = [], second] = sizes
    assert.deepEqual(first, second)
    assert.ok(first.every((size, i) => size % mebibytes(4) === 0 && size >= (first[i - 1] ?? 0)))
    assert.ok(Math.max(...first) > mebibytes(32) && Math.max(...first) <= memoryBytes)
  })

  it('ask no more gas for a transfer among 10,000 holders than among ten', async () => {
    const source = `
      const balances = new Map()
      export function handle(msg) {
        const [from, to] = msg.Data.split('|')
        if (to === undefined) { for (let i = 0; i < +from; i++) balances.set('holder ' + i, 1000n); return }
        balances.set(from, balances.get(from) - 1n)
        balances.set(to, balances.get(to) + 1n)
        return { Output: String(balances.get(to)) }
      }`
    const used: bigint[] = []
    for (const holders of [10, 10_000]) {
      const live = await open(source, { memoryBytes, gas: 10n ** 10n })
      await run(live, String(holders))
      const { output, gasUsed } = await run(live, 'holder 3|holder 7')
      assert.equal(output, '1001')
      used.push(gasUsed)
    }
    const [few = 0n, many = 0n] = used
    // 1.4 Mgas both; state handed over as JSON would be 1,000 times that.
    assert.ok(many * 10n < few * 11n, `${many} gas among 10,000, ${few} among ten`)
  })
})

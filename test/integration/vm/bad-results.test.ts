import assert from 'node:assert/strict'
import { utf8 } from '../../../src/lib/bytes.ts'
import { echoFormat, echoModule } from '../../../src/modules/echo/echo.ts'
import type { LiveProcess } from '../../../src/ports/vm.ts'
import type { Nonce } from '../../../src/protocol/ids.ts'
import { decodeResult, type Evaluation, encodeResult, outboxRoot } from '../../../src/protocol/result.ts'
import type { WorkerVmPool } from '../../../src/vm/pool.ts'
import { emscriptenFormats, emscriptenWat } from '../../support/modules/emscripten.ts'
import { Pools } from '../../support/modules/pools.ts'
import { idOf, mebibytes, messageOf, setupOf } from '../../support/modules/process.ts'
import { compileWat } from '../../support/modules/wat.ts'

const process_ = idOf('process')
const gas = 10_000_000_000n
const memoryBytes = mebibytes(64)

const wide = 'x'.repeat(9 << 20)
/** Responses, as JSON, and what the Error must say where there has to be one. */
const responses: Readonly<Record<string, readonly [string, RegExp?]>> = {
  'an empty object': ['{}'],
  nothing: ['null'],
  'a list': ['[]'],
  'targets that are no address': [
    `{"Messages":[${['""', '"../../etc"', '"\\u0000"', '"ünï"', `"${'A'.repeat(5000)}"`, '7', 'null', '{"a":1}', '[]']
      .map(target => `{"Target":${target},"Tags":[]}`)
      .join()}]}`,
  ],
  'tags that are none': [
    '{"Messages":[{"Target":"x","Tags":[1,null,"x",[],{"name":7},{"value":{}},{"name":{"a":[]}}]}]}',
  ],
  'ten thousand tags': [
    `{"Messages":[{"Target":"x","Tags":[${Array(10_000).fill('{"name":"n","value":"v"}').join()}]}]}`,
  ],
  'messages that are no messages': ['{"Messages":[1,"x",null,[],true]}'],
  'spawns and assignments that are none': [
    '{"Spawns":[1,null],"Assignments":[1,null,{"Processes":7},{"Processes":[{}]}]}',
  ],
  'names of prototypes': [
    '{"Output":{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}},"__proto__":1}',
  ],
  'numbers at the edge': ['{"Output":[1e999,-1e999,-0,1e21,5e-324,0.1,9007199254740993]}'],
  'half of a surrogate pair': ['{"Output":"\\ud800","Messages":[{"Target":"\\udc00","Tags":[]}]}'],
  'fields twice': ['{"Output":1,"Output":2,"Messages":[],"Messages":[{"Target":"x","Tags":[]}]}'],
  'an Error that is no text': ['{"Error":{"a":[1]},"Messages":[{"Target":"x"}]}', /a/],
  'a gigantic Output': [`{"Output":"${wide}"}`, /larger than 8388608|out of gas/],
  'gigantic Data': [`{"Messages":[{"Target":"x","Data":"${wide}","Tags":[]}]}`, /larger than 8388608|out of gas/],
  'a message too many': [`{"Messages":[${Array(270_000).fill('{}').join()}]}`, /larger than 8388608|out of gas/],
  'an answer nested too deep': [`{"Output":${'['.repeat(300)}${']'.repeat(300)}}`, /nested deeper/],
}

/** Answers that no module of a compiler gives: bytes in a memory, as text for WAT. */
const garbage: Readonly<Record<string, string>> = {
  'an answer that is empty': '',
  'half an answer': '{\\"ok\\":true,\\"response\\":{\\"Out',
  'an answer with a tail': '{\\"ok\\":true,\\"response\\":{}} and more',
  'an answer that is not UTF-8': '{\\"ok\\":true,\\"response\\":{\\"Output\\":\\"\\ff\\fe\\80\\"}}',
  'an answer of another kind': '{\\"ok\\":\\"yes\\"}',
  'an answer without a reason': '{\\"ok\\":false}',
  'an answer that is a number': '7',
}

const escaped = (json: string): string =>
  Buffer.from(json)
    .toString('latin1')
    .replace(/["\\\u0080-\u00ff]/g, byte => `\\${byte.charCodeAt(0).toString(16)}`)
const pagesFor = (text: string): number => 2 + Math.ceil(text.length / 65_536)

const plainAnswer = (bytes: string, length: number): Promise<Uint8Array> =>
  compileWat(`(module (memory (export "memory") ${pagesFor(bytes)}) (data (i32.const 65536) "${bytes}")
    (func (export "alloc") (param i32) (result i32) (i32.const 1024))
    (func (export "handle") (param i32 i32) (result i64) (i64.const ${(65_536n << 32n) | BigInt(length)})))`)

function emscriptenAnswer(bytes: string): Promise<Uint8Array> {
  const [, , , names] = emscriptenFormats
  assert.ok(names)
  const wat = emscriptenWat(names, { code: '(i32.const 0)' })
    .replace('(memory (export "memory") 4)', `(memory (export "memory") ${6 + pagesFor(bytes)})`)
    .replace(/\(data \(i32\.const 800\).*\)/, `(data (i32.const 262144) "${bytes}\\00")`)
    .replace(/\(i32\.store8 \(i32\.const 833\).*\n\s*\(i32\.const 800\)/, '(i32.const 262144)')
  return compileWat(wat)
}

describe('whatever a module answers', function () {
  this.timeout(120_000)
  const pools = new Pools()
  let pool: WorkerVmPool
  before(async () => {
    pool = await pools.start()
  })
  after(() => pools.stop())

  const open = async (bytes: Uint8Array, format: string, name: string): Promise<LiveProcess> =>
    pool.open({ ...setupOf(process_, { bytes, format, module: name }), limits: { memoryBytes, gas } })

  /** The evaluation, once it is known that it can be stored, sent and hashed, and that all that failed was undone. */
  const evaluate = async (live: LiveProcess, message = messageOf(process_, 1)): Promise<Evaluation> => {
    const before = await live.snapshot()
    const { evaluation, stateRoot, stateNonce } = await live.handle(message)
    const result = { ...evaluation, process: process_, nonce: 1 as Nonce, stateRoot, stateNonce }
    assert.deepEqual(encodeResult(decodeResult(encodeResult(result))), encodeResult(result))
    outboxRoot(evaluation.outbox)
    if (evaluation.error !== undefined) assert.equal((await live.snapshot()).stateRoot, before.stateRoot)
    assert.equal(({} as { polluted?: unknown }).polluted, undefined)
    return evaluation
  }

  for (const [what, [json, expected]] of Object.entries(responses)) {
    it(`is a result or an Error, in all three machines alike: ${what}`, async () => {
      const plain = escaped(`{"ok":true,"response":${json}}`)
      const length = utf8(`{"ok":true,"response":${json}}`).length
      const source = `export const handle = () => JSON.parse(${JSON.stringify(json)})`
      const machines: readonly (readonly [string, Uint8Array])[] = [
        ['ao-abi-1', await plainAnswer(plain, length)],
        ['wasm32-unknown-emscripten4', await emscriptenAnswer(plain)],
        ...(source.length < 4 << 20 ? [['js-quickjs-1', utf8(source)] as const] : []),
      ]
      for (const [format, bytes] of machines) {
        const { error } = await evaluate(await open(bytes, format, `${what} ${format}`))
        if (expected !== undefined) assert.match(error ?? 'no error', expected, format)
        else if (error !== undefined) assert.match(error, /^TypeError|^trap$|no answer/, `${format}: ${error}`)
      }
    })
  }

  for (const [what, bytes] of Object.entries(garbage)) {
    it(`is a result or an Error in Wasm: ${what}`, async () => {
      const length = bytes.replace(/\\[0-9a-f]{2}|\\"/g, '.').length
      const plain = await evaluate(await open(await plainAnswer(bytes, length), 'ao-abi-1', what))
      const glued = await evaluate(
        await open(await emscriptenAnswer(bytes), 'wasm32-unknown-emscripten4', `${what} glued`),
      )
      const isReadable = what.includes('UTF-8')
      assert.deepEqual([plain.error === undefined, glued.error === undefined], [isReadable, isReadable])
    })
  }

  it('is an Error where a plain module gives memory that it does not have', async () => {
    const module = (alloc: string, handle: string): Promise<Uint8Array> =>
      compileWat(`(module (memory (export "memory") 1) (func (export "alloc") (param i32) (result i32) (i32.const ${alloc}))
        (func (export "handle") (param i32 i32) (result i64) (i64.const ${handle})))`)
    for (const [alloc, handle] of [
      ['-1', '0'],
      ['65535', '0'],
      ['0', '-1'],
      ['0', '0x00000000ffffffff'],
      ['0', '0xffffffff00000001'],
      ['0', '0x0000ffff00000002'],
    ] as const) {
      const live = await open(await module(alloc, handle), 'ao-abi-1', `${alloc} ${handle}`)
      assert.equal((await evaluate(live)).error, 'trap', `${alloc} ${handle}`)
    }
  })

  it('is a result or an Error for a message of megabytes, and the next message is answered as ever', async () => {
    const [, , , names] = emscriptenFormats
    assert.ok(names)
    const source = 'let n = 0; export const handle = msg => ({ Output: ++n })'
    const machines: readonly (readonly [string, Uint8Array])[] = [
      [echoFormat, echoModule()],
      [names.format, await compileWat(emscriptenWat(names, { code: '(i32.const 1)' }))],
      ['js-quickjs-1', utf8(source)],
    ]
    const tags = Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`tag ${i}`, 'v'.repeat(100)]))
    for (const [format, bytes] of machines) {
      const live = await open(bytes, format, `huge ${format}`)
      for (const message of [messageOf(process_, 1, { data: wide }), messageOf(process_, 1, { tags })]) {
        const { error } = await evaluate(live, message)
        assert.match(error ?? 'fine', /^(fine|trap|out of gas|out of memory)$/, format)
      }
      assert.equal((await evaluate(live)).error, undefined, format)
    }
  })
})

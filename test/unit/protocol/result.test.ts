import assert from 'node:assert/strict'
import fc from 'fast-check'
import { toUtf8, utf8 } from '../../../src/lib/bytes.ts'
import { AoError } from '../../../src/lib/errors.ts'
import type { Json } from '../../../src/lib/json.ts'
import type { Nonce, ProcessId } from '../../../src/protocol/ids.ts'
import {
  decodeResult,
  encodeResult,
  outboxRoot,
  outboxSize,
  outputHash,
  parseEvaluation,
  type Result,
  resultToJson,
} from '../../../src/protocol/result.ts'
import { anId } from '../../support/builders.ts'

const anything = fc.jsonValue({ maxDepth: 4 })
const tags = fc.array(fc.record({ name: fc.oneof(fc.string(), anything), value: anything }))
const answer = fc.record(
  {
    Messages: fc.oneof(
      anything,
      fc.array(
        fc.record({ Target: fc.string(), Anchor: fc.string(), Tags: tags, Data: anything }, { requiredKeys: [] }),
      ),
    ),
    Spawns: fc.array(fc.record({ Tags: tags, Data: fc.string() }, { requiredKeys: [] })),
    Assignments: fc.array(
      fc.record({ Message: fc.string(), Processes: fc.array(fc.string()), BaseLayer: anything, Exclude: anything }),
    ),
    Output: anything,
    Error: anything,
  },
  { requiredKeys: [] },
)
const resultOf = (from: unknown, gas = 7n): Result => ({
  ...parseEvaluation(from, gas),
  process: anId<ProcessId>('process'),
  nonce: 3 as Nonce,
  stateRoot: anId('state'),
  stateNonce: 0 as Nonce,
})

describe('protocol/result', () => {
  it('has one encoding, which reads back to the same Result', () => {
    fc.assert(
      fc.property(answer, fc.bigInt({ min: 0n, max: 2n ** 64n }), (from, gas) => {
        const result = resultOf(from, gas)
        const bytes = encodeResult(result)
        const read = decodeResult(bytes)
        assert.ok(Buffer.from(encodeResult(read)).equals(bytes))
        assert.equal(read.gasUsed, gas)
        assert.equal(outboxRoot(read.outbox), outboxRoot(result.outbox))
        assert.equal(outputHash(read), outputHash(result))
      }),
    )
  })

  it('does not depend on the order of keys in what the module answered', () => {
    fc.assert(
      fc.property(answer, from => {
        assert.deepEqual(Buffer.from(encodeResult(resultOf(reversed(from)))), Buffer.from(encodeResult(resultOf(from))))
      }),
    )
  })

  it('loses nothing when it goes through the JSON that clients read', () => {
    fc.assert(
      fc.property(answer, from => {
        const shown = JSON.parse(JSON.stringify(resultToJson(parseEvaluation(from, 7n))))
        assert.deepEqual(Buffer.from(encodeResult(resultOf(shown))), Buffer.from(encodeResult(resultOf(from))))
      }),
    )
  })

  it('refuses with INVALID_RECORD all bytes that it would not write', () => {
    const bytes = encodeResult(resultOf({ Output: { data: 'x' }, Messages: [{ Target: 't', Tags: [] }] }))
    const text = toUtf8(bytes)
    const odd = [
      '',
      '{}',
      'null',
      '[]',
      '"x"',
      text.slice(0, -1),
      `${text} `,
      text.replace('"gas":"7"', '"gas":"07"'),
      text.replace('"gas":"7"', '"gas":"x"'),
      text.replace('"gas":"7"', '"gas":7'),
      text.replace('"nonce":3', '"nonce":"3"'),
      text.replace('"nonce":3', '"nonce":-1'),
      text.replace(anId('state'), 'short'),
      text.replace('{', '{"extra":1,'),
      text.replace('"Target":"t"', '"Target":1'),
    ]
    for (const other of odd) {
      assert.notEqual(other, text)
      assert.throws(() => decodeResult(utf8(other)), { code: 'INVALID_RECORD' }, other.slice(0, 60))
    }
    fc.assert(
      fc.property(fc.nat(), fc.nat(255), (place, byte) => {
        const changed = Buffer.from(bytes)
        changed[place % bytes.length] = byte
        try {
          assert.ok(Buffer.from(encodeResult(decodeResult(changed))).equals(changed))
        } catch (error) {
          assert.ok(error instanceof AoError && error.code === 'INVALID_RECORD', String(error))
        }
      }),
    )
  })

  it('makes an answer of more than 8 MiB an error of the Process, and keeps every smaller one readable', () => {
    const many = (count: number): unknown => ({ Messages: Array.from({ length: count }, () => ({})) })
    const half = 'x'.repeat(4 << 20)
    for (const [large, fits] of [
      [{ Output: [half, half] }, { Output: [half, half.slice(500)] }],
      [{ Error: half + half }, { Error: half }],
      [{ Output: { [half + half]: 1 } }, { Output: { [half]: 1 } }],
      [many(300_000), many(60_000)],
    ]) {
      const refused = parseEvaluation(large, 1n)
      assert.equal(refused.error, 'the answer is larger than 8388608 characters')
      assert.equal(outboxSize(refused.outbox), 0)
      const result = resultOf(fits)
      assert.notEqual(result.error, refused.error)
      assert.equal(outboxSize(decodeResult(encodeResult(result)).outbox), outboxSize(result.outbox))
    }
  })

  it('makes an answer that is nested without end an error of the Process, not a crash of the unit', () => {
    const deep = (levels: number): Json => JSON.parse(`${'['.repeat(levels)}${']'.repeat(levels)}`) as Json
    assert.equal(parseEvaluation({ Output: deep(100) }, 1n).error, undefined)
    for (const where of ['Output', 'Error', 'Messages', 'Tags']) {
      const evaluation = parseEvaluation({ [where]: deep(200_000) }, 1n)
      assert.match(evaluation.error ?? '', /nested deeper/, where)
      assert.equal(outboxSize(evaluation.outbox), 0)
      assert.equal(typeof outputHash(evaluation), 'string')
    }
    assert.match(
      parseEvaluation({ Messages: [{ Target: 't', Tags: [{ name: 'a', value: deep(200_000) }] }] }, 1n).error ?? '',
      /nested/,
    )
  })

  it('commits to every part of the outbox, its place and its kind', () => {
    const message = { Target: 'a', Anchor: '1', Tags: [{ name: 'n', value: 'v' }], Data: 'd' }
    const variants = [
      {},
      { Messages: [message] },
      { Messages: [message, message] },
      { Messages: [message, message, message] },
      { Messages: [{ ...message, Target: 'b' }] },
      { Messages: [{ ...message, Anchor: '2' }] },
      { Messages: [{ ...message, Data: 'e' }] },
      { Messages: [{ ...message, Tags: [] }] },
      { Messages: [{ ...message, Tags: [{ name: 'nv', value: '' }] }] },
      { Messages: [message, { ...message, Target: 'b' }] },
      { Messages: [{ ...message, Target: 'b' }, message] },
      { Messages: [{ ...message, Target: '' }] },
      { Spawns: [message] },
      { Assignments: [{ Message: 'a', Processes: ['b'] }] },
      { Assignments: [{ Message: 'a', Processes: ['b', 'c'] }] },
      { Assignments: [{ Message: 'a', Processes: ['b'], BaseLayer: true }] },
    ]
    const roots = variants.map(variant => outboxRoot(parseEvaluation(variant, 0n).outbox))
    assert.equal(new Set(roots).size, variants.length)
    assert.equal(roots[0], 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', 'empty is 32 zero bytes')
  })
})

function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed)
  if (value === null || typeof value !== 'object') return value
  const copy: Record<string, unknown> = {}
  for (const [key, member] of Object.entries(value).reverse()) {
    Object.defineProperty(copy, key, { value: reversed(member), enumerable: true })
  }
  return copy
}

import assert from 'node:assert/strict'
import { utf8 } from '../../../../src/lib/bytes.ts'
import {
  atFromWire,
  atToWire,
  dryRunFromWire,
  dryRunToWire,
  evaluationFromWire,
  evaluationToWire,
  itemFromWire,
  progressFromWire,
  resultFromWire,
  stateBoundFromWire,
  stateBoundToWire,
} from '../../../../src/network/grpc/convert.ts'
import type { MessageId, Nonce } from '../../../../src/protocol/ids.ts'
import { generateKey, signerFromJwk } from '../../../../src/protocol/keys.ts'

describe('network/grpc/convert', () => {
  it('keeps what it needs of a received frame: later writes into the frame do not reach an item', async () => {
    const { raw } = await signerFromJwk(generateKey('ed25519')).sign({ tags: [], data: utf8('kept') })
    const frame = Buffer.concat([Buffer.alloc(9), raw])
    const item = await itemFromWire(frame.subarray(9))
    frame.fill(0)
    assert.equal(Buffer.from(item.data).toString(), 'kept')
    assert.deepEqual(Buffer.from(item.raw), Buffer.from(raw))
  })

  it('tells a message from a nonce, also nonce 0', () => {
    const message = 'A'.repeat(43) as MessageId
    assert.equal(atFromWire(atToWire(0 as Nonce)), 0)
    assert.equal(atFromWire(atToWire(message)), message)
    assert.throws(() => atFromWire(undefined), { code: 'INVALID_ARGUMENT' })
    assert.throws(() => atFromWire({ $case: 'message', value: 'x' }), { code: 'INVALID_ARGUMENT' })
  })

  it('carries a dry-run message with its optional fields present or absent', () => {
    const full = { owner: 'o', from: 'f', id: 'i', anchor: 'a', tags: [{ name: 'n', value: 'v' }], data: 'd' }
    assert.deepEqual(dryRunFromWire(dryRunToWire('p', full)), full)
    const bare = { owner: 'o', tags: [], data: '' }
    assert.deepEqual(dryRunFromWire(dryRunToWire('p', bare)), {
      ...bare,
      from: undefined,
      id: undefined,
      anchor: undefined,
    })
  })

  it('carries up to where a state goes, and refuses what is no such place', () => {
    for (const to of [undefined, 'A'.repeat(43) as MessageId, { timestamp: 0 }, { timestamp: 1_700_000_000_000 }]) {
      assert.deepEqual(stateBoundFromWire(stateBoundToWire(to)), to)
    }
    const broken = { code: 'INVALID_ARGUMENT' }
    assert.throws(() => stateBoundFromWire({ $case: 'toMessage', value: 'x' }), broken)
    assert.throws(() => stateBoundFromWire({ $case: 'toTimestamp', value: -1 }), broken)
  })

  it('carries an evaluation, its error and its gas', () => {
    const evaluation = {
      outbox: {
        messages: [{ target: 't', anchor: '1', tags: [{ name: 'a', value: 'b' }], data: 'x' }],
        spawns: [{ anchor: '', tags: [], data: 's' }],
        assignments: [{ message: 'm', processes: ['p'], baseLayer: true, exclude: ['Data'] }],
      },
      output: { data: [1, null, 'two'] },
      error: 'it failed',
      gasUsed: 123n,
    }
    assert.deepEqual(evaluationFromWire(evaluationToWire(evaluation)), evaluation)
  })

  it('calls an answer it cannot read INVALID_RECORD, whatever is wrong with it', () => {
    const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`
    const bad = [
      '',
      '{',
      'null',
      '[]',
      '7',
      '{"GasUsed":-1}',
      '{"GasUsed":1.5}',
      '{"gas":"x"}',
      '{"state":"flying"}',
      deep,
    ]
    for (const text of bad) {
      for (const parse of [evaluationFromWire, resultFromWire, progressFromWire]) {
        assert.throws(() => parse(utf8(text)), { code: 'INVALID_RECORD' }, `${parse.name} of ${text.slice(0, 20)}`)
      }
    }
  })
})

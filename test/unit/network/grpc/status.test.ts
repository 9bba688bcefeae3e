import assert from 'node:assert/strict'
import { Metadata, status } from '@grpc/grpc-js'
import { AoError, errorCodes } from '../../../../src/lib/errors.ts'
import { encodeErrorDetail } from '../../../../src/network/grpc/convert.ts'
import {
  fromDetailBytes,
  fromServiceError,
  grpcStatus,
  toDetailBytes,
  toServiceError,
} from '../../../../src/network/grpc/status.ts'

describe('network/grpc/status', () => {
  it('brings every error back as itself, with facts and hint, through status and through a stream', () => {
    for (const code of errorCodes.filter(each => each !== 'INTERNAL')) {
      const error = new AoError(code, 'it went wrong', { id: 'x', count: 3, yes: true }, { hint: 'Do this.' })
      const wire = toServiceError(error)
      assert.equal(wire.code, grpcStatus[code], code)
      for (const back of [fromServiceError(wire), fromDetailBytes(toDetailBytes(error))]) {
        assert.ok(back instanceof AoError)
        assert.deepEqual(
          { code: back.code, message: back.message, facts: back.facts, hint: back.hint },
          { code, message: 'it went wrong', facts: { id: 'x', count: 3, yes: true }, hint: 'Do this.' },
        )
      }
    }
  })

  it('says nothing of what is inside about a failure nobody foresaw', () => {
    const failures = [new TypeError('secret path'), new AoError('INTERNAL', 'secret', { key: 'secret' }), 'secret']
    for (const failure of failures) {
      const wire = toServiceError(failure)
      assert.equal(wire.code, status.INTERNAL)
      assert.ok(!JSON.stringify([wire.details, wire.message, wire.metadata.toHttp2Headers()]).includes('secret'))
      const bytes = wire.metadata.get('ao-error-bin')[0] as Buffer
      assert.ok(!bytes.includes('secret'))
      assert.equal(fromServiceError(wire).code, 'INTERNAL')
    }
  })

  it('takes an abort for ABORTED and a timeout for DEADLINE', () => {
    assert.equal(toServiceError(new DOMException('x', 'AbortError')).code, status.CANCELLED)
    assert.equal(toServiceError(new DOMException('x', 'TimeoutError')).code, status.DEADLINE_EXCEEDED)
  })

  it('understands a status without detail', () => {
    const codeOf = (code: status, details = ''): string =>
      fromServiceError({ code, details, metadata: new Metadata() }, { endpoint: 'a:1' }).code
    assert.equal(codeOf(status.UNAVAILABLE), 'PEER_UNREACHABLE')
    assert.equal(codeOf(status.DEADLINE_EXCEEDED), 'DEADLINE')
    assert.equal(codeOf(status.CANCELLED), 'ABORTED')
    assert.equal(codeOf(status.RESOURCE_EXHAUSTED, 'Received message larger than max (9 vs. 8)'), 'TOO_LARGE')
    assert.equal(codeOf(status.RESOURCE_EXHAUSTED, 'quota'), 'OVERLOADED')
    assert.equal(codeOf(status.INTERNAL), 'INTERNAL')
    assert.equal(codeOf(status.UNIMPLEMENTED), 'INTERNAL')
  })

  it('believes no detail that is garbage, and keeps only plain facts', () => {
    const wire = toServiceError(new AoError('WRONG_UNIT', 'm', { right: 'there' }))
    for (const bytes of [Buffer.from('ffff', 'hex'), Buffer.from('nonsense'), Buffer.alloc(0)]) {
      wire.metadata.set('ao-error-bin', bytes)
      assert.equal(fromServiceError(wire).code, 'INTERNAL')
    }
    const factsJson = '{"a":1,"deep":{"b":2},"list":[3],"none":null,"c":"d"}'
    const odd = fromDetailBytes(encodeErrorDetail({ code: 'WRONG_UNIT', message: '', factsJson, hint: '' }))
    assert.deepEqual(odd?.facts, { a: 1, c: 'd' })
    assert.equal(fromDetailBytes(encodeErrorDetail({ code: 'MADE_UP', message: '', factsJson, hint: '' })), undefined)
  })

  it('survives text that cannot be encoded and facts without measure', () => {
    const wire = toServiceError(
      new AoError('WRONG_UNIT', `half \ud800 ${'x'.repeat(5_000)}`, { big: 'y'.repeat(10_000) }),
    )
    assert.doesNotThrow(() => encodeURI(wire.details))
    const back = fromServiceError(wire)
    assert.equal(back.code, 'WRONG_UNIT')
    assert.ok(back.message.length <= 1024)
    assert.deepEqual(back.facts, {})
  })
})

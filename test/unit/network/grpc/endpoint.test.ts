import assert from 'node:assert/strict'
import { parseEndpoint, toTarget } from '../../../../src/network/grpc/endpoint.ts'

describe('network/grpc/endpoint', () => {
  it('reads host and port, with or without an address, and IPv6 in brackets', () => {
    const address = 'A'.repeat(43)
    assert.deepEqual(parseEndpoint('127.0.0.1:7430'), { host: '127.0.0.1', port: 7430, address: undefined })
    assert.deepEqual(parseEndpoint(`${address}@ao.example:1`), { host: 'ao.example', port: 1, address })
    assert.deepEqual(parseEndpoint('[::1]:65535'), { host: '::1', port: 65_535, address: undefined })
    assert.equal(toTarget(parseEndpoint('[::1]:2')), 'dns:[::1]:2')
  })

  it('refuses what a stranger could lead us astray with', () => {
    const bad = [
      '',
      'host',
      'host:',
      ':1',
      'host:0',
      'host:65536',
      'unix:/var/run/x.sock',
      'unix:x:1',
      'dns://1.1.1.1/h:1',
    ]
    for (const text of [...bad, 'a/b:1', 'http://h:1', '::1:80', 'h:1/x', 'bad!@h:1', 'x@h:1', 'h:1\n']) {
      assert.throws(() => parseEndpoint(text), { code: 'INVALID_ARGUMENT' }, text)
    }
  })
})

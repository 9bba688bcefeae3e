import assert from 'node:assert/strict'
import { hostAndPort, reachableHost, tcpMultiaddr } from '../../../src/lib/reachable-host.ts'

describe('where others reach a server', () => {
  it('is where it listens, or an address of this machine where it listens on all', () => {
    assert.equal(reachableHost('192.0.2.7'), '192.0.2.7')
    for (const all of ['0.0.0.0', '::']) assert.ok(!['0.0.0.0', '::'].includes(reachableHost(all)))
  })

  it('is written with an IPv6 address in brackets', () => {
    assert.equal(hostAndPort('127.0.0.1', 80), '127.0.0.1:80')
    assert.equal(hostAndPort('2001:db8::1', 80), '[2001:db8::1]:80')
    assert.equal(tcpMultiaddr('2001:db8::1', 80), '/ip6/2001:db8::1/tcp/80')
  })
})

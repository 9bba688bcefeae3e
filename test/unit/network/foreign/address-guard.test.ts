import assert from 'node:assert/strict'
import { hasCode } from '../../../../src/lib/errors.ts'
import { assertAllowed, isPublic, publicLookup } from '../../../../src/network/foreign/address-guard.ts'

const isRefused = (error: unknown): boolean => hasCode(error, 'NOT_ALLOWED')

describe('network/foreign/address-guard', () => {
  it('tells addresses of the public internet from all others', () => {
    for (const address of ['1.1.1.1', '172.32.0.1', '223.255.255.255', '2606:4700::1', '2a00:1450::8']) {
      assert.ok(isPublic(address), address)
    }
    const own = ['127.0.0.1', '10.1.2.3', '172.16.0.1', '192.168.1.1', '169.254.169.254', '100.64.0.1', '0.0.0.0']
    const own6 = ['::1', '::', 'fe80::1', 'fd00::1', 'ff02::1', '::ffff:10.0.0.1', '64:ff9b::a00:1', '2002:a00:1::']
    for (const address of [...own, ...own6, '224.0.0.1', '255.255.255.255', 'no address']) {
      assert.ok(!isPublic(address), address)
    }
  })

  it('refuses every spelling of a private address in a URL, and all but http and https', () => {
    const strict = { allowPrivate: false }
    const urls = [
      'http://127.0.0.1/',
      'http://2130706433/',
      'http://0x7f.1/',
      'http://[::1]:80/',
      'http://[::ffff:7f00:1]/',
    ]
    for (const url of [
      ...urls,
      'ftp://example.com/',
      'file:///etc/passwd',
      'http://me:secret@example.com/',
      'nonsense',
    ]) {
      assert.throws(() => assertAllowed(url, strict), isRefused, url)
    }
    assert.equal(assertAllowed('https://su.example.com/su', strict).hostname, 'su.example.com')
    assert.equal(assertAllowed('http://127.0.0.1:1/su', { allowPrivate: true }).port, '1')
    assert.throws(() => assertAllowed('file:///etc/passwd', { allowPrivate: true }), isRefused)
  })

  it('refuses a name that leads to a private address', async () => {
    const error = await new Promise(resolve => publicLookup('localhost', {}, resolve))
    assert.ok(isRefused(error), String(error))
  })
})

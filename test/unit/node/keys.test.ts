import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createKey, loadKey } from '../../../src/node/keys.ts'

describe('node/keys', () => {
  let directory: string
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'aonet-keys-'))
  })
  after(() => rmSync(directory, { recursive: true }))

  it('makes a key that only its owner may read, and never replaces it', () => {
    const file = join(directory, 'deep', 'key.json')
    const first = createKey(file, 'ed25519')
    assert.equal(statSync(file).mode & 0o777, 0o600)
    assert.equal(createKey(file, 'ed25519').signer.address, first.signer.address)
  })

  it('refuses a key that others may read, and says how to mend it', () => {
    const file = join(directory, 'open.json')
    createKey(file, 'ed25519')
    chmodSync(file, 0o644)
    assert.throws(() => loadKey(file, ''), { code: 'INVALID_CONFIG', hint: /chmod 600/ })
  })

  for (const [what, content] of [
    ['not JSON', 'hello'],
    ['a public key', '{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}'],
    ['of a curve nobody uses here', '{"kty":"EC","crv":"P-256"}'],
  ] as const) {
    it(`refuses a key file that is ${what}`, () => {
      const file = join(directory, 'bad.json')
      writeFileSync(file, content, { mode: 0o600 })
      assert.throws(() => loadKey(file, 'Make one.'), { code: 'INVALID_CONFIG', hint: 'Make one.' })
    })
  }
})

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { walletAddress, walletSigner } from '../../../src/cli/connect.ts'
import { createKey } from '../../../src/node/keys.ts'
import { withTempDir } from '../../support/builders.ts'

describe('cli: a wallet under a passphrase', () => {
  it('tells its address without it, and signs only with it', async () => {
    await withTempDir(async dir => {
      const [wallet, passphraseFile, wrong] = ['key.json', 'right', 'wrong'].map(name => join(dir, name))
      if (wallet === undefined || passphraseFile === undefined || wrong === undefined) assert.fail()
      const { address } = createKey(wallet, 'ed25519', 'open sesame').signer
      writeFileSync(passphraseFile, 'open sesame\n')
      writeFileSync(wrong, 'close\n')
      assert.equal(walletAddress({ wallet }, undefined), address)
      assert.equal((await walletSigner({ wallet, passphraseFile }, undefined)).address, address)
      await assert.rejects(walletSigner({ wallet, passphraseFile: wrong }, undefined), { code: 'UNAUTHENTICATED' })
      await assert.rejects(walletSigner({ wallet }, undefined), { code: 'INVALID_ARGUMENT' })
    })
  })
})

import assert from 'node:assert/strict'
import { createPrivateKey, sign } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fromBase64Url, toBase64Url } from '../../../src/lib/bytes.ts'
import { peerIdOf } from '../../../src/network/libp2p/peer-key.ts'
import { verifyRecord } from '../../../src/network/libp2p/record-rules.ts'
import { loadConfig } from '../../../src/node/config.ts'
import { loadNodeKeys, type NodeKeys } from '../../../src/node/identity.ts'
import { saveKey } from '../../../src/node/keys.ts'
import { generateKey } from '../../../src/protocol/keys.ts'
import { draftUnitRecord, type UnitRecord } from '../../../src/protocol/unit-record.ts'
import { testJwk, testSigner, withTempDir } from '../../support/builders.ts'

const network = 'N'.repeat(43)

/** The record of a node with these keys, as its peers check it. */
async function recordOf({ signer, peer, peerSignature }: NodeKeys): Promise<UnitRecord> {
  const id = peerIdOf(peer)
  const draft = draftUnitRecord({
    ...{ roles: ['SU'], peer: id, multiaddrs: [`/ip4/127.0.0.1/tcp/1/p2p/${id}`], grpc: '127.0.0.1:1', network },
    ...{ certificate: new Uint8Array(600), issuedAt: 1, expiresAt: 90_001, formats: [] },
    peerSignature: peerSignature(network),
  })
  return verifyRecord((await signer.sign(draft)).raw, network)
}

describe('the keys of a node', () => {
  it('are one Ed25519 key, or an RSA wallet with a peer key beside it that stays the same', () =>
    withTempDir(async dataDir => {
      const file = join(dataDir, 'key.json')
      const options = loadConfig({ flags: { dataDir } })
      saveKey(file, testJwk('node'), undefined)
      const one = await loadNodeKeys(options, file)
      assert.equal(one.peer, one.peer)
      assert.equal((await recordOf(one)).peer, peerIdOf(testJwk('node')))
      saveKey(file, generateKey('rsa'), undefined)
      const two = await loadNodeKeys(options, file)
      const record = await recordOf(two)
      assert.equal(record.address, two.signer.address)
      assert.equal(peerIdOf((await loadNodeKeys(options, file)).peer), record.peer)
    })).timeout(60_000)

  it('need their passphrase, from a file or a setting, and off testnets a plain one must be allowed', () =>
    withTempDir(async dataDir => {
      const file = join(dataDir, 'key.json')
      const load = (flags: object): Promise<NodeKeys> =>
        loadNodeKeys(loadConfig({ flags: { dataDir, ...flags } }), file)
      saveKey(file, testJwk('node'), 'secret')
      await assert.rejects(load({}), { code: 'INVALID_CONFIG' })
      await assert.rejects(load({ keyPassphrase: 'wrong' }), { code: 'UNAUTHENTICATED' })
      assert.equal((await load({ keyPassphrase: 'secret', network: 'mainnet' })).plain, false)
      saveKey(file, testJwk('node'), undefined)
      await assert.rejects(load({ network: 'mainnet' }), { code: 'INVALID_CONFIG', message: /not encrypted/ })
      assert.equal((await load({ network: 'mainnet', insecurePlaintextKey: true })).plain, true)
    }))

  it('may be held by a signer elsewhere, whose every signature is checked', () =>
    withTempDir(async dataDir => {
      const jwk = testJwk('far')
      const key = createPrivateKey({ key: jwk as Record<string, string>, format: 'jwk' })
      let lies = false
      const signer = createServer((request, response) => {
        if (request.url === '/key') return response.end(JSON.stringify({ signatureType: 2, owner: jwk['x'] }))
        let body = ''
        request.on('data', part => (body += String(part)))
        request.on('end', () => {
          const { digest } = JSON.parse(body) as { digest: string }
          const signature = sign(null, fromBase64Url(digest), key)
          if (lies) signature[0] = (signature[0] ?? 0) ^ 1
          response.end(JSON.stringify({ signature: toBase64Url(signature) }))
        })
        return undefined
      })
      const url = await listening(signer)
      try {
        const keys = await loadNodeKeys(loadConfig({ flags: { dataDir, remoteSigner: url } }), join(dataDir, 'none'))
        assert.equal(keys.signer.address, testSigner('far').address)
        const record = await recordOf(keys)
        assert.equal(record.address, testSigner('far').address)
        assert.notEqual(record.peer, peerIdOf(jwk), 'noise has a key of its own')
        lies = true
        await assert.rejects(recordOf(keys), { code: 'INVALID_DATA_ITEM' })
      } finally {
        signer.close()
        signer.closeAllConnections()
      }
      const gone = loadNodeKeys(loadConfig({ flags: { dataDir, remoteSigner: url } }), join(dataDir, 'none'))
      await assert.rejects(gone, { code: 'PEER_UNREACHABLE' })
      const far = loadNodeKeys(
        loadConfig({ flags: { dataDir, remoteSigner: 'http://10.0.0.1:1' } }),
        join(dataDir, 'none'),
      )
      await assert.rejects(far, { code: 'INVALID_CONFIG' })
    }))
})

const listening = (server: Server): Promise<string> =>
  new Promise(resolve => {
    server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))
  })

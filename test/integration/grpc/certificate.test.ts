import assert from 'node:assert/strict'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createCertificate, loadOrCreateCertificate } from '../../../src/network/grpc/certificate.ts'
import { newSigner } from './support.ts'

const dayMs = 24 * 3_600_000

describe('gRPC: the node’s certificate', () => {
  const commonName = newSigner().address
  let dir: string
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'aonet-tls-'))
  })
  afterEach(() => rm(dir, { recursive: true }))

  it('names the node, signs itself on P-256, and lasts as long as asked', async () => {
    const { certPem, keyPem, der } = await createCertificate({
      commonName,
      days: 10,
      clock: { now: () => 100 * dayMs },
    })
    const certificate = new X509Certificate(certPem)
    assert.equal(certificate.subject, `CN=${commonName}`)
    assert.equal(certificate.subjectAltName, 'DNS:aonet')
    assert.ok(certificate.checkPrivateKey(createPrivateKey(keyPem)))
    assert.ok(certificate.verify(certificate.publicKey))
    assert.equal(certificate.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1')
    assert.equal(Date.parse(certificate.validTo), 110 * dayMs)
    assert.ok(Date.parse(certificate.validFrom) < 100 * dayMs)
    assert.deepEqual(Buffer.from(certificate.raw), Buffer.from(der))
  })

  it('is made once and kept in a file that only its owner reads', async () => {
    const home = join(dir, 'new')
    const first = await loadOrCreateCertificate(home, { commonName })
    assert.deepEqual(await loadOrCreateCertificate(home, { commonName }), first)
    const [file, ...others] = await readdir(home)
    assert.deepEqual(others, [])
    assert.equal((await stat(join(home, file ?? ''))).mode & 0o777, 0o600)
  })

  it('is replaced before it ends', async () => {
    const first = await loadOrCreateCertificate(dir, { commonName, days: 40 })
    const later = { now: () => Date.now() + 11 * dayMs }
    const second = await loadOrCreateCertificate(dir, { commonName, clock: later })
    assert.notEqual(second.certPem, first.certPem)
    assert.equal((await loadOrCreateCertificate(dir, { commonName, clock: later })).certPem, second.certPem)
  })

  it('is called corrupt, with what to do, when the file is damaged', async () => {
    await loadOrCreateCertificate(dir, { commonName })
    const path = join(dir, 'tls.pem')
    const whole = await readFile(path, 'utf8')
    const mangled = whole.replace(/(BEGIN CERTIFICATE-----\n).{60}/, `$1${'A'.repeat(60)}`)
    for (const text of ['', 'nonsense', whole.slice(0, 300), mangled]) {
      await writeFile(path, text)
      await assert.rejects(loadOrCreateCertificate(dir, { commonName }), (error: { code?: string; hint?: string }) => {
        assert.equal(error.code, 'STORE_CORRUPT')
        assert.ok(error.hint)
        return true
      })
    }
  })
})

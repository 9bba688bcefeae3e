import { randomBytes, webcrypto, X509Certificate } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { asBuffer, toHex } from '../../lib/bytes.ts'
import { type Clock, systemClock } from '../../lib/clock.ts'
import { AoError } from '../../lib/errors.ts'
import type { Address } from '../../protocol/ids.ts'

/** A TLS certificate with its private key. `der` is what the unit record carries and callers pin. */
export interface Certificate {
  readonly certPem: string
  readonly keyPem: string
  readonly der: Uint8Array
}

export interface CertificateOptions {
  /** Whose node: shown to people who look at the certificate; callers go by the pin. */
  readonly commonName: Address
  readonly days?: number | undefined
  readonly clock?: Clock | undefined
}

/** The one name in every certificate: nodes are known by their key, so no host name needs to be true. */
export const certificateName = 'aonet'

/** A new self-signed ECDSA P-256 certificate. Valid from an hour ago, for peers whose clocks are behind. */
export async function createCertificate(options: CertificateOptions): Promise<Certificate> {
  const { commonName, days = 3650, clock = systemClock } = options
  // Needed once in the life of a node, and as much to load as everything else of gRPC.
  await import('reflect-metadata')
  const { SubjectAlternativeNameExtension, X509CertificateGenerator } = await import('@peculiar/x509')
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: `01${toHex(randomBytes(15))}`, // positive, without a leading zero byte
      name: [{ CN: [commonName] }],
      notBefore: new Date(clock.now() - hourMs),
      notAfter: new Date(clock.now() + days * dayMs),
      keys,
      signingAlgorithm: algorithm,
      extensions: [new SubjectAlternativeNameExtension([{ type: 'dns', value: certificateName }])],
    },
    webcrypto as Crypto,
  )
  const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey))
  const der = Buffer.from(certificate.rawData)
  return { certPem: toPem('CERTIFICATE', der), keyPem: toPem('PRIVATE KEY', key), der }
}

/**
 * The certificate kept in `dir`; a new one if there is none or if it ends within 30 days.
 *
 * Key and certificate share one file (mode 0600), which is replaced in one step: no crash can leave a pair that does
 * not match.
 *
 * @throws AoError `STORE_CORRUPT` if the file is there but cannot be read.
 */
export async function loadOrCreateCertificate(dir: string, options: CertificateOptions): Promise<Certificate> {
  const path = join(dir, fileName)
  const kept = await readKept(path)
  const now = (options.clock ?? systemClock).now()
  if (kept !== undefined && Date.parse(new X509Certificate(kept.certPem).validTo) - now > 30 * dayMs) return kept
  const certificate = await createCertificate(options)
  await mkdir(dir, { recursive: true, mode: 0o700 })
  await writeFile(`${path}.new`, certificate.keyPem + certificate.certPem, { mode: 0o600 })
  await rename(`${path}.new`, path)
  return certificate
}

const toPem = (label: string, der: Uint8Array): string =>
  `-----BEGIN ${label}-----\n${asBuffer(der)
    .toString('base64')
    .replace(/.{64}(?=.)/g, '$&\n')}\n-----END ${label}-----\n`

const fileName = 'tls.pem'
const hourMs = 3_600_000
const dayMs = 24 * hourMs

async function readKept(path: string): Promise<Certificate | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw corrupt(path, cause)
  }
  const [keyPem] = /-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----\n/.exec(text) ?? []
  const [certPem] = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/.exec(text) ?? []
  if (keyPem === undefined || certPem === undefined) throw corrupt(path)
  try {
    return { keyPem, certPem, der: new X509Certificate(certPem).raw }
  } catch (cause) {
    throw corrupt(path, cause)
  }
}

const corrupt = (path: string, cause?: unknown): AoError =>
  new AoError(
    'STORE_CORRUPT',
    'the TLS certificate of this node cannot be read',
    { path },
    { cause, hint: 'Delete the file: the node makes a new one and tells the network.' },
  )

import { Agent, request } from 'node:http'
import { fromBase64Url, toBase64Url } from '../lib/bytes.ts'
import { AoError } from '../lib/errors.ts'
import { buildDataItem } from '../protocol/data-item.ts'
import { addressOfKey } from '../protocol/ids.ts'
import type { Signer } from '../protocol/keys.ts'

/** Milliseconds: an HSM or a person with a policy in between may take a while, an SU cannot wait for ever. */
const timeoutMs = 10_000
const maxAnswerBytes = 16 * 1024

/**
 * A signer that holds the unit key elsewhere: over HTTP on the loopback, or on a local socket as `unix:/path`.
 *
 *     GET  /key   → {"signatureType": 1 | 2, "owner": "<base64url public key>"}
 *     POST /sign  {"digest": "<base64url, the 48 bytes that the signature covers>"} → {"signature": "<base64url>"}
 *
 * It must sign deterministically (Ed25519, or RSA-PSS with salt length 0): a node that signs the same draft again after
 * a crash must get the same id. Every signature that comes back is verified with the item it makes.
 *
 * @throws AoError `INVALID_CONFIG` for an address that is not local, `PEER_UNREACHABLE` if nobody answers there.
 */
export async function connectRemoteSigner(url: string): Promise<Signer & { readonly signatureType: 1 | 2 }> {
  const ask = asker(url)
  const { signatureType, owner } = await ask('GET', '/key')
  if ((signatureType !== 1 && signatureType !== 2) || typeof owner !== 'string') throw unclear(url)
  const ownerKey = fromBase64Url(owner)
  return {
    signatureType,
    address: addressOfKey(ownerKey),
    sign: draft =>
      buildDataItem(draft, {
        ...{ signatureType, ownerKey },
        sign: async digest => {
          const { signature } = await ask('POST', '/sign', { digest: toBase64Url(digest) })
          if (typeof signature !== 'string') throw unclear(url)
          return fromBase64Url(signature)
        },
      }),
  }
}

type Ask = (method: 'GET' | 'POST', path: string, body?: object) => Promise<Record<string, unknown>>

function asker(url: string): Ask {
  const socketPath = url.startsWith('unix:') ? url.slice('unix:'.length) : undefined
  const { hostname, port } = socketPath === undefined ? new URL(url) : { hostname: 'localhost', port: '' }
  if (!['127.0.0.1', 'localhost', '[::1]'].includes(hostname)) {
    const hint = 'Bring it here through a tunnel: the connection itself is not encrypted.'
    throw new AoError('INVALID_CONFIG', 'a remote signer is reached on this machine only', { url }, { hint })
  }
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  const at = socketPath === undefined ? { host: hostname.replace(/[[\]]/g, ''), port } : { socketPath }
  return (method, path, body) =>
    new Promise((resolve, reject) => {
      const fail = (cause: unknown): void => {
        const hint = 'Check that the signer runs and that remoteSigner names its address.'
        reject(new AoError('PEER_UNREACHABLE', 'the remote signer does not answer', { url }, { cause, hint }))
      }
      const headers = { 'content-type': 'application/json' }
      const asking = request({ ...at, agent, method, path, headers, timeout: timeoutMs }, response => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (part: string) => {
          text += part
          if (text.length > maxAnswerBytes) asking.destroy(new Error('the answer is too long'))
        })
        response.on('end', () => {
          if (response.statusCode !== 200) return reject(refused(url, response.statusCode ?? 0))
          try {
            resolve(JSON.parse(text) as Record<string, unknown>)
          } catch {
            reject(unclear(url))
          }
        })
      })
      asking.on('timeout', () => asking.destroy(new Error('no answer in time')))
      asking.on('error', fail)
      asking.end(body === undefined ? undefined : JSON.stringify(body))
    })
}

const unclear = (url: string): AoError =>
  new AoError('INVALID_CONFIG', 'the remote signer answers what this program does not understand', { url })
const refused = (url: string, status: number): AoError =>
  new AoError('NOT_ALLOWED', 'the remote signer refuses to sign', { url, status }, { hint: 'See its log for why.' })

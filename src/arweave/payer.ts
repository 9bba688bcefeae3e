import { constants, createPrivateKey, type KeyObject, sign } from 'node:crypto'
import Arweave from 'arweave'
import { fromBase64Url, sha256, toBase64Url, utf8 } from '../lib/bytes.ts'
import { AoError } from '../lib/errors.ts'
import type { PreparedTx } from '../ports/settlement.ts'
import { bundleTags } from '../protocol/bundle.ts'
import { type Address, addressOfKey, parseId } from '../protocol/ids.ts'
import type { PrivateJwk } from '../protocol/keys.ts'

/** The wallet that pays for transactions. */
export class Payer {
  readonly address: Address
  readonly #owner: string
  readonly #key: KeyObject

  /** @throws AoError `INVALID_CONFIG` unless the JWK is a private RSA key. */
  constructor(jwk: PrivateJwk) {
    const members = ['n', 'e', 'd', 'p', 'q', 'dp', 'dq', 'qi']
    if (jwk['kty'] !== 'RSA' || members.some(member => typeof jwk[member] !== 'string')) throw notAWallet(jwk['kty'])
    this.#owner = jwk['n'] ?? ''
    this.#key = createPrivateKey({ key: jwk as Record<string, string>, format: 'jwk' })
    this.address = addressOfKey(fromBase64Url(this.#owner))
  }

  /** A signed transaction that carries the bundle. `anchor` and `reward` are the gateway's. */
  async sign(bundle: Uint8Array, { anchor, reward }: { anchor: string; reward: string }): Promise<PreparedTx> {
    const tx = await arweave.createTransaction({ data: bundle, last_tx: anchor, reward })
    for (const { name, value } of bundleTags) tx.addTag(name, value)
    tx.addTag('App-Name', 'aonet')
    tx.setOwner(this.#owner)
    const signature = await this.#signAside(await tx.getSignatureData())
    tx.setSignature({ id: toBase64Url(sha256(signature)), owner: this.#owner, signature: toBase64Url(signature) })
    return { id: parseId(tx.id), payload: utf8(JSON.stringify(tx)) }
  }

  /** In a thread of Node's pool: it takes some milliseconds, during which nothing else would run. */
  #signAside(data: Uint8Array): Promise<Uint8Array> {
    const key = { key: this.#key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
    return new Promise((resolve, reject) => {
      sign('sha256', data, key, (error, signature) => (error === null ? resolve(signature) : reject(error)))
    })
  }
}

/** Used for making only: it is never given an address to talk to, and so prints nothing. */
export const arweave = Arweave.init({})

const notAWallet = (kty: string | undefined): AoError =>
  new AoError(
    'INVALID_CONFIG',
    'the wallet that should pay for settlement is not an Arweave wallet',
    { kty },
    { hint: 'Give the JWK file of an Arweave wallet: a private RSA key of 4096 bits.' },
  )

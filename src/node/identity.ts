import { join } from 'node:path'
import { AoError } from '../lib/errors.ts'
import { signAsPeer } from '../network/libp2p/peer-key.ts'
import type { PrivateJwk, Signer } from '../protocol/keys.ts'
import { peerBinding } from '../protocol/unit-record.ts'
import { createKey, type LoadedKey, loadKey, readPassphraseFile } from './keys.ts'
import { connectRemoteSigner } from './remote-signer.ts'
import type { NodeOptions } from './settings.ts'

/** What a node signs with: as a unit, and as a libp2p peer. One Ed25519 key can be both. */
export interface NodeKeys {
  readonly signer: Signer
  /** Whether the unit key is an RSA key, which SUs everywhere know. */
  readonly isRsa: boolean
  /** Ed25519, at hand: noise needs it for each connection. */
  readonly peer: PrivateJwk
  /** Whether the unit key lies unprotected on the disk. */
  readonly plain: boolean
  /** For the unit record, where the two are not one. */
  peerSignature(network: string): string | undefined
}

/**
 * The keys of a node: the unit key from its file or from a remote signer; where it cannot be the peer key too, one of
 * its own beside it, made at the first start.
 *
 * @throws AoError `INVALID_CONFIG` | `UNAUTHENTICATED` as `loadKey`, `PEER_UNREACHABLE` from a remote signer.
 */
export async function loadNodeKeys(options: NodeOptions, keyFile: string): Promise<NodeKeys> {
  const { dataDir, remoteSigner } = options
  const passphrase = passphraseOf(options)
  const peerFile = join(dataDir, 'peer-key.json')
  if (remoteSigner !== '') {
    const signer = await connectRemoteSigner(remoteSigner)
    const isRsa = signer.signatureType === 1
    return apart({ signer, isRsa, plain: false }, createKey(peerFile, 'ed25519', passphrase).jwk)
  }
  const key = loadKey(keyFile, `Make one with: aonet init --data-dir ${dataDir}`, passphrase)
  if (!key.encrypted) assertPlainAllowed(keyFile, options)
  if (key.jwk['kty'] === 'OKP') return own(key)
  const peer = createKey(peerFile, 'ed25519', key.encrypted ? passphrase : undefined)
  return apart({ signer: key.signer, isRsa: true, plain: !key.encrypted }, peer.jwk)
}

/** @throws AoError `INVALID_CONFIG` if the file that should hold it cannot be read. */
export function passphraseOf({ keyPassphrase, keyPassphraseFile }: NodeOptions): string | undefined {
  if (keyPassphrase !== '') return keyPassphrase
  return keyPassphraseFile === '' ? undefined : readPassphraseFile(keyPassphraseFile)
}

/** On a testnet a plain key is what newcomers have; anywhere else somebody has to have chosen it. */
function assertPlainAllowed(file: string, { network, insecurePlaintextKey }: NodeOptions): void {
  if (network === 'testnet' || insecurePlaintextKey) return
  const hint = 'Encrypt it with `aonet keys passphrase`, or say --insecure-plaintext-key true.'
  throw new AoError('INVALID_CONFIG', `the key ${file} is not encrypted`, { file, network }, { hint })
}

const own = ({ signer, jwk, encrypted }: LoadedKey): NodeKeys => ({
  ...{ signer, isRsa: false, peer: jwk, plain: !encrypted },
  peerSignature: () => undefined,
})

const apart = (unit: Pick<NodeKeys, 'signer' | 'isRsa' | 'plain'>, peer: PrivateJwk): NodeKeys => ({
  ...{ ...unit, peer },
  peerSignature: network => signAsPeer(peer, peerBinding(network, unit.signer.address)),
})

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Client } from '../client/client.ts'
import { addressOfKeyFile, createKey, isEncryptedKey, loadKey } from '../node/keys.ts'
import type { Address } from '../protocol/ids.ts'
import type { Signer } from '../protocol/keys.ts'
import { runningTestnet, type TestnetState } from '../testnet/layout.ts'
import { knownPassphrase, type PassphraseOptions } from './prompt.ts'
import { type NodeChoice, nodeEndpoint } from './which-node.ts'

/** Options that every command shares which talks to a node. */
export interface ConnectOptions extends NodeChoice, Pick<PassphraseOptions, 'passphraseFile'> {
  /** JWK file. */
  readonly wallet?: string | undefined
}

/** Connects to the node named, else to one that runs here (`nodeEndpoint`). */
export async function connectClient(options: ConnectOptions): Promise<Client> {
  const endpoint = await nodeEndpoint(options, 'MU')
  // Loaded when needed: help and mistakes should not wait for the network's libraries.
  const [{ connectNode }, client] = await Promise.all([
    import('../network/grpc/connect.ts'),
    import('../client/client.ts'),
  ])
  return new client.Client(
    await connectNode(endpoint, asMember()),
    await walletSigner(options, runningTestnet(options.testnet)),
  )
}

/** What this user shows to nodes of a private network. */
export const asMember = (): { readonly memberToken: string | undefined } => ({
  memberToken: process.env['AONET_MEMBER_TOKEN'],
})

/** The wallet named, else the testnet's, else one of the user's own that is made at the first use. Asks for its passphrase. */
export async function walletSigner(options: ConnectOptions, testnet: TestnetState | undefined): Promise<Signer> {
  const file = walletFile(options, testnet)
  if (!isEncryptedKey(file, namesWallet)) return loadKey(file, namesWallet).signer
  return loadKey(file, namesWallet, await knownPassphrase(options, file)).signer
}

/** Its address, for which nobody needs the passphrase. */
export const walletAddress = (options: ConnectOptions, testnet: TestnetState | undefined): Address =>
  addressOfKeyFile(walletFile(options, testnet), namesWallet)

function walletFile({ wallet }: ConnectOptions, testnet: TestnetState | undefined): string {
  const file = wallet ?? process.env['AONET_WALLET'] ?? testnet?.wallet
  if (file !== undefined) return file
  const own = join('.aonet', 'wallet.json')
  if (!existsSync(own)) {
    createKey(own, 'ed25519')
    process.stderr.write(`aonet: made a new wallet, ${own}\n`)
  }
  return own
}

const namesWallet = 'Name a JWK file with --wallet.'

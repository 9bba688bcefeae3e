import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Client } from '../client/client.ts'
import { AoError } from '../lib/errors.ts'
import { addressOfKeyFile, createKey, isEncryptedKey, loadKey } from '../node/keys.ts'
import type { Address } from '../protocol/ids.ts'
import type { Signer } from '../protocol/keys.ts'
import { defaultTestnetDirectory, isAlive, readState, type TestnetState } from '../testnet/layout.ts'
import { endpointOf } from '../testnet/testnet.ts'
import { knownPassphrase, type PassphraseOptions } from './prompt.ts'

/** Options that every command shares which talks to a node. */
export interface ConnectOptions extends Pick<PassphraseOptions, 'passphraseFile'> {
  /** `host:port` of a node's gRPC services, or `address@host:port` to insist on who answers. */
  readonly node?: string | undefined
  /** JWK file. */
  readonly wallet?: string | undefined
  readonly testnet?: string | undefined
}

/** Connects to the node named, else to the testnet that runs in this directory. */
export async function connectClient(options: ConnectOptions): Promise<Client> {
  const testnet = runningTestnet(options)
  const node = testnet?.nodes.find(({ roles }) => roles.includes('MU'))
  const endpoint = options.node ?? process.env['AONET_NODE'] ?? (node && endpointOf(node))
  if (endpoint === undefined) {
    throw new AoError(
      'INVALID_ARGUMENT',
      'no node is named and no testnet is running here',
      {},
      {
        hint: 'Start one with `npm start`, or name a node with --node host:port.',
      },
    )
  }
  // Loaded when needed: help and mistakes should not wait for the network's libraries.
  const [{ connectNode }, client] = await Promise.all([
    import('../network/grpc/connect.ts'),
    import('../client/client.ts'),
  ])
  return new client.Client(await connectNode(endpoint, asMember()), await walletSigner(options, testnet))
}

/** What this user shows to nodes of a private network. */
export const asMember = (): { readonly memberToken: string | undefined } => ({
  memberToken: process.env['AONET_MEMBER_TOKEN'],
})

/** The testnet under the current directory, if its supervisor is alive. */
export function runningTestnet({ testnet }: ConnectOptions): TestnetState | undefined {
  const state = readState(testnet ?? defaultTestnetDirectory)
  return state !== undefined && isAlive(state.supervisor) ? state : undefined
}

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

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { AoError } from '../../lib/errors.ts'
import { memberToken } from '../../lib/member-token.ts'
import { addressOfKeyFile, isEncryptedKey, loadKey, saveKey, settlementWalletName } from '../../node/keys.ts'
import { settings } from '../../node/settings.ts'
import { type PrivateJwk, signerFromJwk } from '../../protocol/keys.ts'
import { readUserFile } from '../arguments.ts'
import { type OutputOptions, printResult } from '../output.ts'
import { knownPassphrase, newPassphrase, type PassphraseOptions } from '../prompt.ts'

interface Options extends OutputOptions, PassphraseOptions {
  readonly dataDir: string
  readonly newPassphraseFile?: string
}

/** The unit key of a node: what it is, and how to change what protects it. The node must be stopped for nothing of it. */
export const keysCommand = (): Command =>
  new Command('keys')
    .description('Show, import, protect and export the key of a node.')
    .addCommand(located('show', 'Say whose key it is, without opening it.').action(show))
    .addCommand(
      protectable(located('import', 'Take an Arweave wallet (RSA JWK) or an Ed25519 JWK as the key of the node.'))
        .argument('<file>', 'JWK file')
        .action(importKey),
    )
    .addCommand(
      protectable(located('passphrase', 'Put the key under a passphrase, or under another one.'))
        .option('--new-passphrase-file <file>', 'file whose first line is the new passphrase')
        .action(changePassphrase),
    )
    .addCommand(
      located('export', 'Write the key to a file as a plain JWK, which only you may read.')
        .option('--passphrase-file <file>', 'file whose first line is the passphrase')
        .argument('<file>', 'file to write')
        .action(exportKey),
    )
    .addCommand(
      new Command('network')
        .description('Make the pre-shared key of a private network: a swarm.key for each of its nodes.')
        .argument('<file>', 'file to write')
        .action(makeNetworkKey),
    )
    .addCommand(
      new Command('member-token')
        .description('Print what callers of a private network show who are no nodes of it, as AONET_MEMBER_TOKEN.')
        .argument('<file>', 'pre-shared key (swarm.key) of the network')
        .action(showMemberToken),
    )

const located = (name: string, description: string): Command =>
  new Command(name)
    .description(description)
    .option('--data-dir <directory>', settings.dataDir.help, settings.dataDir.initial)

const protectable = (command: Command): Command =>
  command
    .option('--passphrase-file <file>', 'file whose first line is the passphrase')
    .option('--insecure-plaintext-key', 'write the key as it is: for testnets')

function show(options: Options): void {
  const file = keyFile(options)
  const address = addressOfKeyFile(file, hint(options))
  const encrypted = isEncryptedKey(file, hint(options))
  const text = [`address    ${address}`, `key        ${file}`, `encrypted  ${encrypted ? 'yes' : 'no'}`].join('\n')
  printResult(text, { address, file, encrypted }, options)
}

async function importKey(source: string, options: Options): Promise<void> {
  const file = keyFile(options)
  assertAbsent(file)
  const jwk = readJwk(source)
  const { address } = signerFromJwk(jwk)
  saveKey(file, jwk, await newPassphrase(options))
  printResult(`Imported ${address} to ${file}. Delete ${source} when you have a copy.`, { address, file }, options)
}

/** Of the key, and of what stands beside it under the same passphrase. */
async function changePassphrase(options: Options): Promise<void> {
  const file = keyFile(options)
  const passphrase = isEncryptedKey(file, hint(options)) ? await knownPassphrase(options, file) : undefined
  const beside = ['peer-key.json', settlementWalletName].map(name => join(options.dataDir, name)).filter(existsSync)
  const keys = [file, ...beside].map(name => ({ name, ...loadKey(name, hint(options), passphrase) }))
  const next = await newPassphrase(
    { passphraseFile: options.newPassphraseFile, insecurePlaintextKey: options.insecurePlaintextKey },
    'the key from now on',
  )
  for (const { name, jwk } of keys) saveKey(name, jwk, next)
  const address = addressOfKeyFile(file, hint(options))
  const text = next === undefined ? 'The key is not encrypted any more.' : 'The key is under its new passphrase.'
  printResult(text, { address, file, encrypted: next !== undefined }, options)
}

async function exportKey(target: string, options: Options): Promise<void> {
  assertAbsent(target)
  const { jwk, signer } = await opened(keyFile(options), options)
  saveKey(target, jwk, undefined)
  const text = `Wrote the key of ${signer.address} to ${target}, not encrypted.`
  printResult(text, { address: signer.address, file: target }, options)
}

async function makeNetworkKey(file: string, options: OutputOptions): Promise<void> {
  assertAbsent(file)
  const { generateKey } = await import('@libp2p/pnet')
  const key = new Uint8Array(95)
  generateKey(key)
  writeFileSync(file, key, { mode: 0o600 })
  const text = `Wrote ${file}. Copy it to each node and set privateNetworkKeyFile there.`
  printResult(text, { file }, options)
}

function showMemberToken(file: string, options: OutputOptions): void {
  const token = memberToken(readUserFile(file))
  printResult(token, { token }, options)
}

const keyFile = ({ dataDir }: Options): string => join(dataDir, 'key.json')
const hint = ({ dataDir }: Options): string => `Make one with: aonet init --data-dir ${dataDir}`

async function opened(file: string, options: Options): Promise<ReturnType<typeof loadKey>> {
  if (!isEncryptedKey(file, hint(options))) return loadKey(file, hint(options))
  return loadKey(file, hint(options), await knownPassphrase(options, file))
}

function readJwk(file: string): PrivateJwk {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as PrivateJwk
  } catch (cause) {
    throw new AoError('INVALID_ARGUMENT', `cannot read ${file} as JSON`, { file }, { cause, hint: 'Check the path.' })
  }
}

function assertAbsent(file: string): void {
  if (!existsSync(file)) return
  throw new AoError('INVALID_ARGUMENT', `${file} exists already`, { file }, { hint: 'Move it to a safe place first.' })
}

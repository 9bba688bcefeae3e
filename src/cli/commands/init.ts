import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { Command } from 'commander'
import { AoError } from '../../lib/errors.ts'
import { tcpMultiaddr } from '../../lib/reachable-host.ts'
import { configFile, loadConfig } from '../../node/config.ts'
import { createKey, isEncryptedKey, type LoadedKey, loadKey } from '../../node/keys.ts'
import { flagName, type NodeOptions, type Setting, settings } from '../../node/settings.ts'
import { type OutputOptions, printResult } from '../output.ts'
import { ask, canAsk, knownPassphrase, newPassphrase, type PassphraseOptions } from '../prompt.ts'

interface InitOptions extends OutputOptions, PassphraseOptions {
  readonly dataDir: string
  readonly force?: boolean
  readonly host?: string
  readonly yes?: boolean
}

/** What is asked for, or given by a flag of the same name; the rest is for an editor. */
const asked = ['network', 'origin', 'roles', 'bootstrap', 'arweaveUrl', 'arweaveWallet'] as const

export function initCommand(): Command {
  const command = new Command('init')
    .description('Make a data directory with a key and a commented configuration file.')
    .option('--data-dir <directory>', settings.dataDir.help, settings.dataDir.initial)
    .option('--force', 'write the configuration anew; the key is never replaced')
    .option('--yes', 'ask nothing but a passphrase')
    .option(
      '--host <address>',
      'listen on this address of the machine, 0.0.0.0 for all, so that other machines reach it',
    )
    .option('--passphrase-file <file>', 'file whose first line is the passphrase for the key')
    .option('--insecure-plaintext-key', 'do not encrypt the key: for testnets')
  for (const name of asked) command.option(`--${flagName(name)} <value>`, settings[name].help)
  return command
    .addHelpText('after', '\nExample:\n  aonet init --data-dir my-node && aonet start --config my-node/config.yaml')
    .action((options: InitOptions & Partial<NodeOptions>) => init(options))
}

async function init(options: InitOptions & Partial<NodeOptions>): Promise<void> {
  const { dataDir } = options
  const config = join(dataDir, 'config.yaml')
  if (existsSync(config) && options.force !== true) {
    const hint = 'Edit it, or write it anew with --force.'
    throw new AoError('INVALID_ARGUMENT', `${config} exists already`, { file: config }, { hint })
  }
  const chosen = await choose(options)
  const file = join(dataDir, 'key.json')
  mkdirSync(dataDir, { recursive: true })
  const { signer, encrypted } = await keyIn(file, options)
  const plain = encrypted ? {} : { insecurePlaintextKey: true }
  writeFileSync(config, configFile({ dataDir, ...chosen, ...listening(options), ...plain }))
  const text = [
    `address  ${signer.address}`,
    `key      ${file} (${encrypted ? 'encrypted' : 'not encrypted'}; only you may read it; keep a copy in a safe place)`,
    `config   ${config}`,
    '',
    ...(chosen.bootstrap === undefined || chosen.arweaveUrl === undefined
      ? ['Next: set `bootstrap` and `arweaveUrl` in the configuration, then']
      : ['Next:']),
    `  aonet start --config ${config}`,
  ].join('\n')
  printResult(text, { address: signer.address, key: file, config, encrypted }, options)
}

async function keyIn(file: string, options: InitOptions): Promise<LoadedKey> {
  const hint = 'Move the file away to have a new key made.'
  if (!existsSync(file)) return createKey(file, 'ed25519', await newPassphrase(options))
  return loadKey(file, hint, isEncryptedKey(file, hint) ? await knownPassphrase(options, file) : undefined)
}

/** @throws AoError `INVALID_ARGUMENT` if the host is no IP address. */
function listening({ host }: InitOptions): Partial<NodeOptions> {
  if (host === undefined) return {}
  if (isIP(host) === 0) {
    const hint = 'Give an address of this machine, or 0.0.0.0 for all. A name that others dial goes into grpcAdvertise.'
    throw new AoError('INVALID_ARGUMENT', '--host is not an IP address', { host }, { hint })
  }
  return { p2pListen: [tcpMultiaddr(host, 0)], grpcHost: host, httpHost: host }
}

/** By flags, and by questions where somebody sits there. @throws AoError `INVALID_CONFIG` */
async function choose(options: InitOptions & Partial<NodeOptions>): Promise<Partial<NodeOptions>> {
  const given: Record<string, unknown> = {}
  for (const name of asked) {
    const flag = (options as unknown as Record<string, unknown>)[name]
    if (flag !== undefined) given[name] = flag
    else if (canAsk() && options.yes !== true) {
      const answer = await answerTo(settings[name])
      if (answer !== undefined) given[name] = answer
    }
  }
  const checked = loadConfig({ flags: given })
  return Object.fromEntries(Object.keys(given).map(name => [name, checked[name as keyof NodeOptions]]))
}

/** Asked again until it can be used; undefined for what is proposed. */
async function answerTo({ schema, initial, help }: Setting<unknown>): Promise<string | undefined> {
  const proposed = Array.isArray(initial) ? initial.join(',') : String(initial)
  for (;;) {
    const answer = await ask(help, proposed)
    if (answer === proposed) return undefined
    const mistake = schema.safeParse(answer).error
    if (mistake === undefined) return answer
    process.stderr.write(`  ${mistake.issues.map(({ message }) => message).join(', ')}\n`)
  }
}

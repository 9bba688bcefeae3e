import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { Command } from 'commander'
import { AoError } from '../../lib/errors.ts'
import { tcpMultiaddr } from '../../lib/reachable-host.ts'
import { configFile, loadConfig } from '../../node/config.ts'
import { createKey, isEncryptedKey, settlementWalletName } from '../../node/keys.ts'
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
  const passphrase = await passphraseFor(file, options)
  const { signer, encrypted } = createKey(file, 'ed25519', passphrase)
  const wallet = needsWallet(chosen)
    ? createKey(join(dataDir, settlementWalletName), 'rsa', passphrase).signer.address
    : undefined
  const made = {
    ...(encrypted ? {} : { insecurePlaintextKey: true }),
    ...(wallet === undefined ? {} : { arweaveWallet: join(dataDir, settlementWalletName) }),
  }
  writeFileSync(config, configFile({ dataDir, ...chosen, ...listening(options), ...made }))
  const text = [
    `address  ${signer.address}`,
    `key      ${file} (${encrypted ? 'encrypted' : 'not encrypted'}; only you may read it; keep a copy in a safe place)`,
    ...(wallet === undefined
      ? []
      : [`wallet   ${join(dataDir, settlementWalletName)} (${wallet}; pays for settlement, so it needs AR)`]),
    `config   ${config}`,
    '',
    ...(chosen.bootstrap === undefined || chosen.arweaveUrl === undefined
      ? ['Next: set `bootstrap` and `arweaveUrl` in the configuration, then']
      : ['Next:']),
    ...(wallet === undefined ? [] : [`  aonet faucet ${wallet} --ar   # on a testnet`]),
    `  aonet start --config ${config}`,
  ].join('\n')
  printResult(
    text,
    { address: signer.address, key: file, config, encrypted, ...(wallet === undefined ? {} : { wallet }) },
    options,
  )
}

/** Of the key that is there, or for the one to be made. */
async function passphraseFor(file: string, options: InitOptions): Promise<string | undefined> {
  if (!existsSync(file)) return newPassphrase(options)
  const isEncrypted = isEncryptedKey(file, 'Move the file away to have a new key made.')
  return isEncrypted ? knownPassphrase(options, file) : undefined
}

/** An SU settles, and who named no wallet gets one. */
const needsWallet = ({ roles = settings.roles.initial, arweaveWallet }: Partial<NodeOptions>): boolean =>
  roles.includes('SU') && arweaveWallet === undefined

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

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'
import { Command } from 'commander'
import { AoError } from '../../lib/errors.ts'
import type { NodeConnection } from '../../network/grpc/connect.ts'
import { createKey, loadKey } from '../../node/keys.ts'
import { defaultTestnetDirectory, runningTestnet } from '../../testnet/layout.ts'
import { asMember, type ConnectOptions } from '../connect.ts'
import { type OutputOptions, printResult } from '../output.ts'
import { nodeEndpoint, nodeFlag, nodeHelp } from '../which-node.ts'

interface AosOptions extends ConnectOptions, OutputOptions {
  readonly module?: string
  readonly print?: boolean
}

/** How the aos command line has to be started to reach this network and no other. */
interface AosSetup {
  readonly env: Readonly<Record<string, string>>
  readonly args: readonly string[]
}

export const aosCommand = (): Command =>
  new Command('aos')
    .description('Start the aos command line on this network, or print how to.')
    .argument('[name]', 'name of the Process, found or spawned', 'default')
    .argument('[aos-arguments...]', 'handed to aos as they are; write -- before them')
    .option('--print', 'only print the environment and the command')
    .option(nodeFlag, nodeHelp)
    .option('--module <id>', "the aos module; by default the running testnet's")
    .option('--wallet <file>', 'RSA wallet (JWK); by default one made for aos')
    .option('--testnet <directory>', 'directory of the testnet to look for')
    .addHelpText(
      'after',
      `
aos keeps what it knows of Processes in its home, so it gets one of this network's own.
Pushed messages are believed only if a Process names the MU: every MU of the network becomes an Authority tag.
Monitor crons with \`aonet monitor\`: \`.monitor\` ends aos 2.0.16, whatever the network.

Examples:
  aonet aos my-process
  aonet aos my-process -- --load chat.lua
  aonet aos my-process -- --no-legacy --url http://127.0.0.1:PORT --authority <an MU>   # HyperBEAM's paths
  aonet aos --print`,
    )
    .action(async (name: string, rest: readonly string[], options: AosOptions) => {
      const setup = await aosSetup(name, options)
      const command = ['aos', ...setup.args, ...rest]
      const isInstalled = onPath('aos')
      if (options.print === true || options.json === true || !isInstalled) {
        const exports = Object.entries(setup.env).map(([key, value]) => `export ${key}=${quoted(value)}`)
        printResult([...exports, command.map(quoted).join(' ')].join('\n'), { env: setup.env, command }, options)
        if (!isInstalled && options.print !== true && options.json !== true) throw notInstalled()
        return
      }
      process.exitCode = await run(command, setup.env)
    })

async function aosSetup(name: string, options: AosOptions): Promise<AosSetup> {
  const endpoint = await nodeEndpoint(options, 'MU')
  const module = options.module ?? runningTestnet(options.testnet)?.modules['aos']
  if (module === undefined)
    throw missing(
      'no aos module is known here',
      'Publish it with `aonet module publish --aos`, or name one with --module.',
    )
  const home = resolve(options.testnet ?? defaultTestnetDirectory, 'aos-home')
  mkdirSync(home, { recursive: true })
  const { connectNode } = await import('../../network/grpc/connect.ts')
  const node = await connectNode(endpoint, asMember())
  try {
    return await setupAt(node, { name, module, home, wallet: options.wallet })
  } finally {
    await node.close()
  }
}

async function setupAt(
  node: NodeConnection,
  { name, module, home, wallet }: { name: string; module: string; home: string; wallet: string | undefined },
): Promise<AosSetup> {
  const units = await node.listUnits()
  const scheduler = units.find(({ roles }) => roles.includes('SU'))
  if (scheduler === undefined)
    throw missing('this node knows no Scheduler Unit', 'Wait until it has found its network: `aonet status`.')
  const messengers = units.filter(({ roles }) => roles.includes('MU'))
  const http = String(node.info.status['http'])
  const [mu, cu, gateway] = [`${http}/mu`, `${http}/cu`, node.info.arweave]
  return {
    env: {
      HOME: home,
      MU_URL: mu,
      CU_URL: cu,
      GATEWAY_URL: gateway,
      ARWEAVE_GRAPHQL: `${gateway}/graphql`,
      // Answers 404, none: aos asks at every start, and is loud if the internet is not there.
      UPDATE_URL: `${http}/aos-update`,
    },
    args: [
      ...[name, '--legacy', '--wallet', rsaWallet(wallet ?? join(home, 'wallet.json'), wallet === undefined)],
      ...['--mu-url', mu, '--cu-url', cu, '--gateway-url', gateway], // again, so that aos shows them
      ...['--module', module, '--scheduler', scheduler.address],
      ...messengers.flatMap(({ address }) => ['--tag-name', 'Authority', '--tag-value', address]),
    ],
  }
}

/** aos signs as Arweave wallets do. @throws AoError `INVALID_ARGUMENT` for a wallet of another kind. */
function rsaWallet(file: string, make: boolean): string {
  if (make && !existsSync(file)) createKey(file, 'rsa')
  const { jwk } = loadKey(file, 'Name an RSA wallet with --wallet.')
  if (jwk['kty'] === 'RSA') return file
  throw missing('aos needs an RSA wallet', 'Leave out --wallet: one is made for it.')
}

async function run([command = 'aos', ...args]: readonly string[], env: AosSetup['env']): Promise<number> {
  const child = spawn(command, args, { stdio: 'inherit', env: { ...process.env, ...env } })
  const [code] = (await once(child, 'close')) as [number | null]
  return code ?? 1
}

export const onPath = (command: string): boolean =>
  (process.env['PATH'] ?? '').split(delimiter).some(folder => folder !== '' && existsSync(join(folder, command)))

/** For a POSIX shell. */
export const quoted = (text: string): string =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`

const missing = (what: string, hint: string): AoError => new AoError('INVALID_ARGUMENT', what, {}, { hint })
const notInstalled = (): AoError =>
  missing(
    'the aos command line is not installed',
    'Install it as its documentation says, or run the lines above where it is.',
  )

// A node on this machine and one on another of the same local network, which know of no address to join at. To be started
// by `unshare -rn`; tells its parent the address of each, and whom it found.
import { spawn } from 'node:child_process'
import { elsewhere, here, plugIn } from './cable.ts'
import { eventually } from './eventually.ts'
import { cliPath, runCli } from './run-cli.ts'

export interface Neighbours {
  readonly addresses: readonly string[]
  /** By node: the addresses of the units it is connected to. */
  readonly found: readonly (readonly string[])[]
}

const cwd = process.cwd()
const other = await plugIn()
const cli = async (...args: string[]): Promise<unknown> => {
  const outcome = await runCli([...args, '--json'], { cwd, timeoutMs: 30_000 })
  if (outcome.code !== 0) throw new Error(`${args.join(' ')}: ${outcome.error}`)
  return JSON.parse(outcome.out)
}
const make = async (directory: string, host: string): Promise<string> => {
  const args = ['--yes', '--insecure-plaintext-key', '--data-dir', directory, '--roles', 'MU', '--host', host]
  return ((await cli('init', ...args)) as { address: string }).address
}
const start = (directory: string): string[] => [
  process.execPath,
  cliPath,
  'start',
  '--config',
  `${directory}/config.yaml`,
  '--mdns',
  'true',
]
const found = async (directory: string): Promise<readonly string[]> =>
  ((await cli('peers', '--data-dir', directory)) as readonly { address: string; state: string }[])
    .filter(({ state }) => state === 'connected')
    .map(({ address }) => address)

const addresses = [await make('one', here), await make('two', elsewhere)]
const [program = '', ...args] = start('one')
const children = [
  spawn(program, args, { cwd, stdio: 'ignore' }),
  spawn(...other.command(...start('two')), { cwd, stdio: 'ignore' }),
]
try {
  const all = (): Promise<readonly (readonly string[])[]> => Promise.all([found('one'), found('two')])
  const each = async (): Promise<readonly (readonly string[])[] | undefined> => {
    const lists = await all().catch(() => [])
    return lists.length === 2 && lists.every(list => list.length > 0) ? lists : undefined
  }
  process.send?.({ addresses, found: await eventually('both to find each other', each, 60_000) })
} finally {
  for (const child of children) child.kill('SIGTERM')
  other.unplug()
}

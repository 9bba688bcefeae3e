// On this machine a testnet of one node runs; on another a newcomer enters the line that it printed. Then this one publishes
// and spawns, and the other evaluates. To be started by `unshare -rn`; tells its parent what it saw.
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { elsewhere, here, plugIn } from './cable.ts'
import { eventually } from './eventually.ts'
import { cliPath, runCli } from './run-cli.ts'

export interface NewcomerSeen {
  /** The newcomer's own address. */
  readonly newcomer: string
  /** Where the testnet's node reaches it, by its record there. */
  readonly grpc: string
  /** What the newcomer's node said, asked over the cable by its endpoint. */
  readonly asked: { readonly address: string; readonly roles: readonly string[] }
  /** A result that the newcomer's node gave of a Process of the testnet. */
  readonly result: { readonly nonce: number; readonly compute: string }
}

const tokenModule = fileURLToPath(new URL('../../../src/modules/examples/token/token.js', import.meta.url))
const cwd = process.cwd()
const other = await plugIn()

const cli = async (...args: string[]): Promise<Record<string, unknown>> => {
  const outcome = await runCli([...args, '--json'], { cwd, timeoutMs: 90_000 })
  if (outcome.code !== 0) throw new Error(`${args.join(' ')}: ${outcome.error}`)
  return JSON.parse(outcome.out) as Record<string, unknown>
}

try {
  await cli('testnet', 'up', '--detach', '--nodes', 'all=1', '--host', here)
  const printed = readFileSync(join(cwd, '.aonet/testnet.log'), 'utf8')
  const line = printed.split('\n').find(text => /npx aonet init .* && npx aonet start /.test(text)) ?? ''
  // The node takes the place of the shell, so that it is ended with it.
  const typed = line.replaceAll('npx aonet', `"${process.execPath}" "${cliPath}"`).replace('&& ', '&& exec ')
  const newcomer = spawn(...other.command('sh', '-c', typed), { cwd, stdio: 'ignore' })
  try {
    const units = async (): Promise<readonly { address: string; grpc: string }[]> =>
      ((await cli('status'))['unitRecords'] ?? []) as { address: string; grpc: string }[]
    const found = await eventually(
      'the newcomer to be known',
      async () => (await units()).find(isAt(elsewhere)),
      60_000,
    )
    const module = (await cli('module', 'publish', tokenModule))['module'] as string
    const { process } = (await cli('spawn', '--module', module)) as { process: string }
    const asked = await cli('status', '--node', `${found.address}@${found.grpc}`)
    const result = await cli('result', process, '0', '--node', `${found.address}@${found.grpc}`)
    const seen = { newcomer: found.address, grpc: found.grpc, asked, result }
    globalThis.process.send?.(seen)
  } finally {
    newcomer.kill('SIGTERM')
  }
} finally {
  await runCli(['testnet', 'down'], { cwd, timeoutMs: 60_000 })
  other.unplug()
}

function isAt(host: string) {
  return ({ grpc }: { readonly grpc: string }): boolean => grpc.startsWith(`${host}:`)
}

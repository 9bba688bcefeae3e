// Two machines joined by a cable: network namespaces, the one that this program was started in by `unshare -rn`, and
// another.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'

/** Addresses of this machine and of the other one. */
export const here = '10.77.0.1'
export const elsewhere = '10.77.0.2'

export interface OtherMachine {
  /** A program and its arguments, to be run there. */
  command(...command: readonly string[]): readonly [string, string[]]
  unplug(): void
}

export async function plugIn(): Promise<OtherMachine> {
  const other = spawn('unshare', ['-n', 'sh', '-c', 'echo up; exec sleep 600'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(other.stdout, 'data')
  const command = (...command: readonly string[]): readonly [string, string[]] => [
    'nsenter',
    ['-t', String(other.pid), '-n', ...command],
  ]
  execFileSync('ip', ['link', 'add', 'one', 'type', 'veth', 'peer', 'name', 'two', 'netns', String(other.pid)])
  for (const [run, device, address] of [
    [(...args: string[]) => execFileSync('ip', args), 'one', here],
    [(...args: string[]) => execFileSync(...command('ip', ...args)), 'two', elsewhere],
  ] as const) {
    run('link', 'set', 'lo', 'up')
    run('addr', 'add', `${address}/24`, 'dev', device)
    run('link', 'set', device, 'up')
    run('route', 'add', 'default', 'dev', device) // multicast goes the default way
  }
  return { command, unplug: () => void other.kill('SIGKILL') }
}

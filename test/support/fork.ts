import { type ChildProcess, type ForkOptions, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** Runs another file of the tests as a process of its own, compiled or through tsx as this one runs. */
export const forkScript = (file: URL, args: readonly string[], options: ForkOptions = {}): ChildProcess =>
  fork(fileURLToPath(file), args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], ...options })

/** Ends a process as a power cut would, and waits until it is gone. */
export async function killHard(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}

import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export interface CliOutcome {
  readonly code: number | null
  readonly out: string
  readonly error: string
}

/** The compiled command line, as a user's shell would start it. */
export const cliPath = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

/** Runs `aonet` to its end. */
export function runCli(
  args: readonly string[],
  options: { readonly cwd?: string; readonly timeoutMs?: number } = {},
): Promise<CliOutcome> {
  return new Promise((resolve, reject) => {
    const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('AONET_')))
    const child = spawn(process.execPath, [cliPath, ...args], {
      cwd: options.cwd,
      env: environment,
      timeout: options.timeoutMs ?? 30_000,
    })
    let out = ''
    let error = ''
    child.stdout.on('data', chunk => {
      out += String(chunk)
    })
    child.stderr.on('data', chunk => {
      error += String(chunk)
    })
    child.once('error', reject)
    child.once('close', code => resolve({ code, out, error }))
  })
}

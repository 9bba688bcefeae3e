import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/** One line of the peer's driver, by the names it gives. */
export type WaoLine = Readonly<Record<string, string | number>>

/**
 * What npm `wao` does here and now with the same Lua: `shared/peers/wao.mjs`, whose path WAO_DRIVER may name. Empty
 * without WAO_ROOT, the folder wao is installed in.
 */
export async function waoLines(tests: string, env: Readonly<Record<string, string>>): Promise<readonly WaoLine[]> {
  if (process.env['WAO_ROOT'] === undefined) return []
  const driver = process.env['WAO_DRIVER'] ?? '/work/shared/peers/wao.mjs'
  const options = {
    env: { ...process.env, MODE: 'memory', TESTS: tests, ...env },
    timeout: 600_000,
    maxBuffer: 1 << 24,
  }
  const { stdout } = await promisify(execFile)(process.execPath, [driver], options)
  return stdout
    .split('\n')
    .filter(line => line.startsWith('{'))
    .map(line => JSON.parse(line) as WaoLine)
}

export const figure = (lines: readonly WaoLine[], name: string, field: string, where: WaoLine = {}): number => {
  const found = lines.find(
    line => line['name'] === name && Object.entries(where).every(([key, value]) => line[key] === value),
  )
  return Number(found?.[field])
}

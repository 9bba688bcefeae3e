import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual, promisify } from 'node:util'
import { packageRoot } from '../src/testnet/aos-module.ts'
import { digestsOf, goldenDigests } from '../test/support/determinism/golden.ts'

// npm run test:nodes [version ...]: whether the Nodes that aonet supports give equal results, gas and state, each with
// both compilers of its engine. The Nodes come from npm, as packages that carry the program.

const versions = process.argv.length > 2 ? process.argv.slice(2) : ['20.20.2', '22.23.3', '24.21.0']
const flagSets: readonly (readonly string[])[] = [[], ['--liftoff-only'], ['--no-liftoff']]
const run = promisify(execFile)
const cache = join(packageRoot(dirname(fileURLToPath(import.meta.url))), '.cache', 'nodes')

/** The program, or why it cannot be had. */
async function nodeOf(version: string): Promise<{ readonly program?: string; readonly reason?: string }> {
  const { platform, arch } = process
  const name = `node-${platform === 'win32' ? 'win' : platform}-${arch}`
  const home = join(cache, version)
  const program = join(home, 'node_modules', name, 'bin', platform === 'win32' ? 'node.exe' : 'node')
  if (existsSync(program)) return { program }
  try {
    await mkdir(home, { recursive: true })
    const install = ['install', '--prefix', home, '--no-save', '--no-audit', '--no-fund', '--force']
    await run('npm', [...install, `${name}@${version}`], { shell: platform === 'win32', timeout: 300_000 })
    return existsSync(program) ? { program } : { reason: `the package ${name} holds no program` }
  } catch (error) {
    const lines = String((error as { stderr?: unknown }).stderr ?? error).split('\n')
    return { reason: lines.find(line => line.startsWith('npm error') && line.length > 12) ?? lines[0] ?? 'unknown' }
  }
}

async function check(version: string): Promise<boolean> {
  const { program, reason } = await nodeOf(version)
  if (program === undefined) {
    say(`Node ${version} cannot be had from npm here: ${reason}`)
    return false
  }
  const golden = goldenDigests()
  let good = true
  for (const flags of flagSets) {
    const started = performance.now()
    const found = await digestsOf(program, flags).catch(error => ({ failed: String(error).slice(0, 2_000) }))
    const same = isDeepStrictEqual(found, golden)
    const seconds = ((performance.now() - started) / 1000).toFixed(1)
    say(`Node ${version} ${flags.join(' ') || '(no flags)'}: ${same ? 'equal' : 'DIFFERENT'}, ${seconds} s`)
    if (!same) say(JSON.stringify(found, null, 2))
    good &&= same
  }
  return good
}

const say = (text: string): boolean => process.stdout.write(`${text}\n`)

const outcomes: boolean[] = []
for (const version of versions) outcomes.push(await check(version))
process.exitCode = outcomes.every(Boolean) ? 0 : 1

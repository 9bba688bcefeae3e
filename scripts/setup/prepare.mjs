// Makes a fresh clone ready to run: installs packages and compiles, each only when missing or stale.
// Plain JavaScript on Node's own modules, because it runs before anything is installed.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const installStamp = join(root, 'node_modules', '.aonet-installed')
const buildStamp = join(root, 'dist', '.aonet-built')
const force = process.argv.includes('--force')

checkNode()
if (read(installStamp) !== lockHash()) {
  // Not `npm ci`: it refuses a lock file made on another kind of machine, which lacks this one's optional binaries.
  // `--no-save` keeps to the lock file's versions and leaves it as it is.
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error']
  step('installing packages (once, about a minute)', 'npm', ['install', '--no-save', ...quiet])
  writeFileSync(installStamp, lockHash())
}
if (force || sourceTime() > time(buildStamp)) {
  const started = Date.now()
  // A compiled file whose source is gone would still be found by the test runner.
  rmSync(join(root, 'dist'), { recursive: true, force: true })
  step('compiling (some ten seconds)', process.execPath, [
    join(root, 'node_modules', 'typescript', 'bin', 'tsc'),
    '-p',
    '.',
  ])
  step('bundling AO-Sec Origin', process.execPath, [join(root, 'scripts', 'setup', 'bundle-origin.mjs')])
  writeFileSync(buildStamp, new Date(started).toISOString())
}

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major > 20 || (major === 20 && minor >= 19)) return
  fail(`aonet needs Node 20.19 or newer; this is ${process.versions.node}.`)
}

function step(what, command, args) {
  console.error(`aonet: ${what} …`)
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  })
  if (error !== undefined || status !== 0) fail(`${what.replace(/ \(.*/, '')} failed; the lines above say why.`)
}

function fail(message) {
  console.error(`aonet: ${message}`)
  process.exit(1)
}

function lockHash() {
  return createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
}

function read(file) {
  return existsSync(file) ? readFileSync(file, 'utf8') : ''
}

function time(file) {
  return existsSync(file) ? Date.parse(read(file)) : 0
}

/** When a source, the configuration or the packages last changed. */
function sourceTime() {
  const files = ['src', 'test', 'scripts'].flatMap(folder =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile() || entry.isDirectory())
      .map(entry => join(entry.parentPath ?? entry.path, entry.name)),
  )
  return Math.max(...[...files, join(root, 'tsconfig.json'), installStamp].map(file => statSync(file).mtimeMs))
}

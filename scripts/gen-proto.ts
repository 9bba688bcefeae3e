import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

// Lints proto/ and generates src/network/grpc/generated from it. With --check nothing is written: the exit code says
// whether what is committed is what the .proto files give. All tools come with npm install; nothing is downloaded.

const root = packageRoot()
const generated = 'src/network/grpc/generated'

process.exitCode = main(process.argv.includes('--check'))

function main(checkOnly: boolean): number {
  // In proto/, because buf takes the folder of buf.yaml for the module's root.
  if (!buf(['lint'], join(root, 'proto'))) return 1
  if (!checkOnly) return generateInto(root) ? 0 : 1
  const scratch = mkdtempSync(join(tmpdir(), 'aonet-proto-'))
  try {
    if (!generateInto(scratch)) return 1
    const stale = differences(join(scratch, generated), join(root, generated))
    if (stale.length === 0) return 0
    console.error(`Generated code is stale:\n${stale.map(file => `  ${generated}/${file}`).join('\n')}`)
    console.error('Run `npm run generate` and commit what it writes.')
    return 1
  } finally {
    rmSync(scratch, { recursive: true })
  }
}

function generateInto(base: string): boolean {
  return buf(['generate', 'proto', '--template', 'proto/buf.gen.yaml', '--output', base], root)
}

function buf(args: readonly string[], cwd: string): boolean {
  try {
    execFileSync(join(root, 'node_modules/.bin/buf'), args, { cwd, stdio: 'inherit' })
    return true
  } catch (error) {
    console.error(`buf ${args[0]} failed: ${error instanceof Error ? error.message : String(error)}`)
    return false
  }
}

/** Files that are in one folder only or differ. */
function differences(fresh: string, kept: string): readonly string[] {
  const names = new Set([...filesIn(fresh), ...filesIn(kept)])
  const read = (dir: string, name: string): string | undefined =>
    existsSync(join(dir, name)) ? readFileSync(join(dir, name), 'utf8') : undefined
  return [...names].filter(name => read(fresh, name) !== read(kept, name)).sort()
}

function filesIn(dir: string): readonly string[] {
  if (!existsSync(dir)) return []
  const entries = readdirSync(dir, { recursive: true, withFileTypes: true })
  return entries.filter(entry => entry.isFile()).map(entry => relative(dir, join(entry.parentPath, entry.name)))
}

/** Where package.json is, whether this runs from scripts/ or from dist/scripts/. */
function packageRoot(): string {
  let dir = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(dir, 'proto/buf.yaml'))) {
    if (dir === dirname(dir)) throw new Error('proto/buf.yaml is nowhere above this script')
    dir = dirname(dir)
  }
  return dir
}

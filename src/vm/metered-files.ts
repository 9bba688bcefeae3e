import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { threadId } from 'node:worker_threads'
import { equalBytes, sha256, toHex, utf8 } from '../lib/bytes.ts'
import type { MeteredModule } from './meter/meter.ts'

/** A smaller module is metered in the time that a file takes. */
const leastBytes = 64 << 10
/** Of all files: some hundred modules as large as aos. */
const defaultMaxBytes = 256 << 20
const checksumBytes = 32
const newline = 10

/**
 * Metered modules as files of one directory, so that a start need not meter again: a quarter of a second for aos.
 *
 * A file is named by all that its content follows from: the module, what is done with it, and the program that does it.
 * One that is damaged, or cannot be read, is made anew; one that cannot be written is done without. The one used longest
 * ago makes room for another. Any of them, or all, may be deleted at any time.
 */
export class MeteredFiles {
  readonly #directory: string
  readonly #maxBytes: number

  /** @param directory made with the first file. */
  constructor(directory: string, maxBytes = defaultMaxBytes) {
    this.#directory = directory
    this.#maxBytes = maxBytes
  }

  /** What `meter` makes of a module. @param how all that has a say in it. @throws as `meter`. */
  of(module: Uint8Array, how: string, meter: () => MeteredModule): MeteredModule {
    if (module.length < leastBytes) return meter()
    const name = toHex(sha256(sha256(module), programHash(), utf8(how)))
    const kept = this.#read(name)
    if (kept !== undefined) return kept
    const metered = meter()
    this.#write(name, metered)
    return metered
  }

  #read(name: string): MeteredModule | undefined {
    const file = join(this.#directory, name)
    try {
      const content = readFileSync(file)
      const body = content.subarray(checksumBytes)
      if (!equalBytes(sha256(body), content.subarray(0, checksumBytes))) return undefined
      const headEnd = body.indexOf(newline)
      const head = JSON.parse(body.toString('utf8', 0, headEnd)) as Omit<MeteredModule, 'bytes'>
      const now = new Date()
      utimesSync(file, now, now)
      return { ...head, bytes: body.subarray(headEnd + 1) }
    } catch {
      return undefined
    }
  }

  #write(name: string, { bytes, ...head }: MeteredModule): void {
    const body = Buffer.concat([utf8(`${JSON.stringify(head)}\n`), bytes])
    if (body.length > this.#maxBytes) return
    const unfinished = join(this.#directory, `${name}.${process.pid}.${threadId}`)
    try {
      mkdirSync(this.#directory, { recursive: true })
      this.#makeRoom(body.length)
      writeFileSync(unfinished, Buffer.concat([sha256(body), body]))
      renameSync(unfinished, join(this.#directory, name)) // readers never see half a file
    } catch {
      remove(unfinished)
    }
  }

  #makeRoom(bytes: number): void {
    const files = readdirSync(this.#directory).map(name => {
      const path = join(this.#directory, name)
      const { size, mtimeMs } = statSync(path)
      return { path, size, mtimeMs }
    })
    let total = files.reduce((sum, { size }) => sum + size, bytes)
    for (const { path, size } of files.sort((a, b) => a.mtimeMs - b.mtimeMs)) {
      if (total <= this.#maxBytes) return
      remove(path)
      total -= size
    }
  }
}

function remove(path: string): void {
  try {
    rmSync(path, { force: true })
  } catch {
    // It takes room until others need it.
  }
}

let program: Uint8Array | undefined

/** Of the code that meters: what another version of it made must never be taken for its own. */
function programHash(): Uint8Array {
  program ??= sha256(
    ...['meter', 'asyncify'].flatMap(folder => {
      const directory = join(dirname(fileURLToPath(import.meta.url)), folder)
      return readdirSync(directory)
        .filter(name => /\.[jt]s$/.test(name))
        .sort()
        .flatMap(name => [utf8(name), readFileSync(join(directory, name))])
    }),
  )
  return program
}

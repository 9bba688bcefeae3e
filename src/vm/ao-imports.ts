import type { GlueImports } from './ao-loader.ts'
import type { BootFile } from './boot-file.ts'
import { unsupported } from './wasm-binary.ts'

/** What the imports need of the machine they serve. */
export interface AoHost {
  readonly memory: WebAssembly.Memory
  /** What a Process boots from, while it does. */
  readonly bootFile?: BootFile | undefined
  /** What a function gives beside its 32-bit result, for the next to read; 0 as a message begins. */
  highHalf: number
  /** Milliseconds; restarts with each message. */
  tick(): number
  /** Grows to hold `memoryBytes`; false if that is more than the Process may have. */
  resize(memoryBytes: number): boolean
}

/** The Process asked for something that only WeaveDrive could give. Part of its result, so the same words everywhere. */
export class WeaveDriveRead extends Error {
  override readonly name = 'WeaveDriveRead'

  constructor(path: string) {
    super(`WeaveDrive is not offered here: the Process asked for ${path.slice(0, 100)}`)
  }
}

type Import = (...values: never[]) => unknown

/**
 * The imports a module gets: the loader's glue where that works on memory alone, and stand-ins for all that would be
 * state outside memory (files, descriptors, output) or the world (clock, shell, input).
 *
 * @throws AoError `UNSUPPORTED_MODULE` if the module imports anything else.
 */
export function aoImports(module: WebAssembly.Module, glue: GlueImports, host: AoHost): WebAssembly.Imports {
  const imports: Record<string, Record<string, WebAssembly.ImportValue>> = {}
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    const offered = kind === 'function' && modules.includes(from) ? glue[from]?.[name] : undefined
    if (offered === undefined) {
      throw unsupported('the module imports something that its format does not offer', { import: `${from}.${name}` })
    }
    const standIn = standIns(host, offered)[from === 'a' ? (minified[name] ?? '') : name]
    imports[from] = { ...imports[from], [name]: standIn ?? offered }
  }
  return imports
}

const modules = ['env', 'wasi_snapshot_preview1', 'a']

/** The first emscripten format has short names. Those left out are stubs in its glue, and safe. */
const minified: Readonly<Record<string, string>> = {
  ...{ f: 'fd_write', l: 'exit', q: 'emscripten_resize_heap' },
  ...{ b: 'setTempRet0', h: 'getTempRet0' },
}

/** Error numbers, as WASI counts them. */
const badDescriptor = 8
const noSuchFile = 44
const noShell = 52
const notSeekable = 70

function standIns(host: AoHost, offered: Import): Readonly<Record<string, Import>> {
  const now = (): number => host.tick()
  return {
    emscripten_date_now: now,
    _emscripten_date_now: now,
    emscripten_get_now: now,
    // The glue rounds up generously, and does not know the limit: `resize` has the last word on both.
    emscripten_resize_heap: (bytes: number | bigint) =>
      host.resize(typeof bytes === 'bigint' ? Number(bytes) : bytes >>> 0) ? Number(offered(bytes as never)) : 0,
    _emscripten_system: (command: number | bigint) => (Number(command) === 0 ? 0 : -noShell),
    // In the glue it would outlast the message, and no image would have it.
    setTempRet0: (value: number) => {
      host.highHalf = value
    },
    getTempRet0: () => host.highHalf,
    exit: () => {
      throw new Error('exit')
    },
    __asyncjs__weavedrive_open: (name: Pointer) => openFile(host, name),
    __asyncjs__weavedrive_read: (fd: number, to: Pointer, length: Pointer) => readFile(host, fd, { to, length }),
    ...withResult(0, ['__asyncjs__weavedrive_close']),
    ...withResult(0, ['fd_close', 'fd_sync', '_munmap_js']),
    fd_seek: (fd: number, ...at: SeekValues) => seekFile(host, fd, at),
    ...withResult(-noSuchFile, pathCalls),
    ...withResult(-badDescriptor, descriptorCalls),
    fd_read: (_fd: number, _vectors: Pointer, _count: Pointer, result: Pointer) => writeSize(host, result, 0),
    fd_write: (_fd: number, vectors: Pointer, count: Pointer, result: Pointer) =>
      writeSize(host, result, sizeOf(host, vectors, count)),
  }
}

const pathCalls = [
  '__syscall_openat',
  '__syscall_chmod',
  '__syscall_faccessat',
  '__syscall_lstat64',
  '__syscall_mkdirat',
  '__syscall_newfstatat',
  '__syscall_readlinkat',
  '__syscall_renameat',
  '__syscall_rmdir',
  '__syscall_stat64',
  '__syscall_unlinkat',
  '__syscall_utimensat',
]
const descriptorCalls = [
  '__syscall_dup3',
  '__syscall_fchmod',
  '__syscall_fchown32',
  '__syscall_fcntl64',
  '__syscall_fstat64',
  '__syscall_ftruncate64',
  '_mmap_js',
]

const withResult = (result: number, names: readonly string[]): Record<string, Import> =>
  Object.fromEntries(names.map(name => [name, () => result]))

/** A bigint in modules with 64-bit memories. */
type Pointer = number | bigint

/** Folders that only WeaveDrive has. */
const weavePath = /^\/(data|tx2?|block|headers)\//

/** aos opens every file through here first. What stands for others is that there is none. */
function openFile(host: AoHost, name: Pointer): number {
  const memory = Buffer.from(host.memory.buffer)
  const path = memory.toString('utf8', addressOf(name), memory.indexOf(0, addressOf(name)))
  if (host.bootFile?.open(path)) return host.bootFile.descriptor
  if (weavePath.test(path)) throw new WeaveDriveRead(path)
  return 0
}

function readFile(
  { bootFile, memory }: AoHost,
  fd: number,
  { to, length }: { readonly to: Pointer; readonly length: Pointer },
): number {
  if (fd !== bootFile?.descriptor) return 0
  const bytes = bootFile.read(addressOf(length))
  new Uint8Array(memory.buffer).set(bytes, addressOf(to))
  return bytes.length
}

/** The offset is one bigint, or the low and the high half of it where 64 bits do not pass. */
type SeekValues =
  | [offset: bigint, whence: number, result: Pointer]
  | [low: number, high: number, whence: number, result: Pointer]

function seekFile(host: AoHost, fd: number, at: SeekValues): number {
  const [offset, whence, result] = at.length === 3 ? at : [(BigInt(at[1]) << 32n) | BigInt(at[0] >>> 0), at[2], at[3]]
  if (fd !== host.bootFile?.descriptor) return notSeekable
  const place = host.bootFile.seek(Number(offset), whence)
  if (place === undefined) return notSeekable
  new DataView(host.memory.buffer).setBigUint64(addressOf(result), BigInt(place), true)
  return 0
}

/** Output goes nowhere, and yet all of it is written. */
function sizeOf(host: AoHost, vectors: Pointer, count: Pointer): number {
  const view = new DataView(host.memory.buffer)
  const wide = typeof vectors === 'bigint'
  const width = wide ? 8 : 4
  const length = (at: number): number => (wide ? Number(view.getBigUint64(at, true)) : view.getUint32(at, true))
  let total = 0
  for (let i = 0; i < Number(count); i++) total += length(addressOf(vectors) + i * 2 * width + width)
  return total
}

function writeSize(host: AoHost, result: Pointer, size: number): number {
  const view = new DataView(host.memory.buffer)
  if (typeof result === 'bigint') view.setBigUint64(Number(result), BigInt(size), true)
  else view.setUint32(addressOf(result), size, true)
  return 0
}

const addressOf = (pointer: Pointer): number => (typeof pointer === 'bigint' ? Number(pointer) : pointer >>> 0)

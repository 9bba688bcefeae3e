/** What the imports need of the machine they serve. */
export interface QuickJsHost {
  readonly memory: WebAssembly.Memory
  /** Milliseconds since 1970: the time of the message. */
  readonly now: number
  /** Grows to hold `memoryBytes`; false if that is more than the Process may have. */
  resize(memoryBytes: number): boolean
}

/** Error numbers, as WASI counts them. */
const badDescriptor = 8
const success = 0

/**
 * All that QuickJS asks of its host, in the letters of the pinned build. What would let the world in has nothing behind
 * it: no clock but the message's, no zone but UTC, no environment, no descriptors, no timers, no modules to load.
 */
export function quickJsImports(host: QuickJsHost): WebAssembly.Imports {
  const view = (): DataView => new DataView(host.memory.buffer)
  const refuse = (): never => {
    throw new WebAssembly.RuntimeError('refused')
  }
  const writeZeros = (...pointers: readonly number[]): number => {
    for (const pointer of pointers) view().setUint32(pointer, 0, true)
    return success
  }
  return {
    a: {
      a: host.memory,
      ...all(refuse, ['b', 'q', 'r', 'g', 'h', 's', 't']), // assert, abort, exit, module loading, host functions
      ...all(() => badDescriptor, ['c', 'd', 'o']), // fd_write, fd_close, fd_seek
      ...all(() => success, ['e', 'i', 'j', 'l']), // environ_get, interrupts, setitimer, keepalive
      f: (count: number, size: number) => writeZeros(count, size), // environ_sizes_get
      k: (memoryBytes: number) => (host.resize(memoryBytes >>> 0) ? 1 : 0), // emscripten_resize_heap
      m: (seconds: bigint, tm: number) => writeUtc(view(), seconds, tm), // localtime
      n: (zone: number, daylight: number, ...names: number[]) => {
        writeZeros(zone, daylight)
        for (const name of names) view().setUint32(name, utcText, true)
      }, // tzset
      p: () => host.now, // emscripten_date_now
    },
  }
}

const all = (value: () => number, names: readonly string[]): Record<string, () => number> =>
  Object.fromEntries(names.map(name => [name, value]))

/** "UTC" and a zero, as a little-endian number. */
const utcText = 0x00_43_54_55

/** C's `struct tm`: nine numbers of 32 bits, then the offset from UTC. */
function writeUtc(view: DataView, seconds: bigint, tm: number): void {
  const date = new Date(Number(seconds) * 1000)
  const newYear = Date.UTC(date.getUTCFullYear(), 0, 1)
  const fields = [
    date.getUTCSeconds(),
    date.getUTCMinutes(),
    date.getUTCHours(),
    date.getUTCDate(),
    date.getUTCMonth(),
    date.getUTCFullYear() - 1900,
    date.getUTCDay(),
    Math.floor((date.getTime() - newYear) / 86_400_000),
    0,
    0,
  ]
  for (const [i, field] of fields.entries()) view.setInt32(tm + 4 * i, field, true)
}

import { AoError } from '../lib/errors.ts'

/** Bytes of one page of Wasm memory, and of one page of an Image. */
export const pageBytes = 65_536

export interface GlobalShape {
  readonly type: 'i32' | 'i64' | 'other'
  readonly mutable: boolean
  readonly exportName: string | undefined
}
export interface MemoryShape {
  readonly wide: boolean
  readonly minPages: number
  readonly maxPages: number | undefined
}
/** What the JavaScript API does not tell of a module. Globals are the module's own: imported ones are refused later. */
export interface ModuleShape {
  readonly memory: MemoryShape
  readonly globals: readonly GlobalShape[]
  readonly hasStart: boolean
}

/**
 * Reads the few sections that decide whether a module may run here. The engine validates the rest.
 *
 * @throws AoError `UNSUPPORTED_MODULE`
 */
export function readShape(bytes: Uint8Array): ModuleShape {
  const sections = readSections(bytes)
  const memories = readSection(bytes, sections, memorySection, readMemory)
  const [memory] = memories
  if (memory === undefined || memories.length > 1) throw unsupported('a module must have one memory of its own')
  const names = new Map(
    readSection(bytes, sections, exportSection, readExport)
      .filter(({ kind }) => kind === globalExport)
      .map(({ index, name }) => [index, name]),
  )
  const globals = readSection(bytes, sections, globalSection, readGlobal)
  return {
    memory,
    globals: globals.map((global, index) => ({ ...global, exportName: names.get(index) })),
    hasStart: sections.has(startSection),
  }
}

/**
 * The same module with the maximum of its memory lowered to `limitBytes`, so that even its own `memory.grow` stops there.
 *
 * @throws AoError `UNSUPPORTED_MODULE` if it starts with more.
 */
export function capMemory(bytes: Uint8Array, { memory }: ModuleShape, limitBytes: number): Uint8Array {
  const limitPages = Math.floor(limitBytes / pageBytes)
  if (memory.minPages > limitPages) {
    throw unsupported('the module starts with more memory than the Process may have', {
      neededBytes: memory.minPages * pageBytes,
      limitBytes,
    })
  }
  const section = readSections(bytes).get(memorySection)
  if (section === undefined) return bytes
  const maxPages = Math.min(memory.maxPages ?? limitPages, limitPages)
  const body = [1, memory.wide ? 0x05 : 0x01, ...unsigned(memory.minPages), ...unsigned(maxPages)]
  const rewritten = Uint8Array.from([memorySection, ...unsigned(body.length), ...body])
  return Buffer.concat([bytes.subarray(0, section.head), rewritten, bytes.subarray(section.end)])
}

export const unsupported = (message: string, facts: Record<string, string | number> = {}): AoError =>
  new AoError('UNSUPPORTED_MODULE', message, facts, {
    hint: 'Publish the Module in a format that this node evaluates.',
  })

const memorySection = 5
const globalSection = 6
const exportSection = 7
const startSection = 8
const globalExport = 3
const preambleBytes = 8

interface Section {
  readonly head: number
  readonly body: number
  readonly end: number
}

function readSections(bytes: Uint8Array): ReadonlyMap<number, Section> {
  const sections = new Map<number, Section>()
  const reader = new Reader(bytes, preambleBytes)
  while (reader.at < bytes.length) {
    const head = reader.at
    const id = reader.byte()
    const size = reader.number()
    const body = reader.at
    reader.skip(size)
    if (id !== 0) sections.set(id, { head, body, end: reader.at })
  }
  return sections
}

function readSection<T>(
  bytes: Uint8Array,
  sections: ReadonlyMap<number, Section>,
  id: number,
  read: (reader: Reader) => T,
): T[] {
  const section = sections.get(id)
  if (section === undefined) return []
  const reader = new Reader(bytes.subarray(0, section.end), section.body)
  const count = reader.number()
  const entries: T[] = []
  for (let i = 0; i < count; i++) entries.push(read(reader))
  return entries
}

function readMemory(reader: Reader): MemoryShape {
  const flags = reader.byte()
  // 1: has a maximum, 2: shared between threads, 4: 64-bit addresses
  if ((flags & ~0b101) !== 0) throw unsupported('shared memories are not evaluated: threads are not deterministic')
  const minPages = reader.number()
  return { wide: (flags & 4) !== 0, minPages, maxPages: (flags & 1) === 0 ? undefined : reader.number() }
}

function readExport(reader: Reader): { name: string; kind: number; index: number } {
  return { name: reader.name(), kind: reader.byte(), index: reader.number() }
}

function readGlobal(reader: Reader): Omit<GlobalShape, 'exportName'> {
  const type = reader.byte()
  if (type === 0x63 || type === 0x64) reader.number() // (ref null? heap-type): the heap type follows
  const mutable = reader.byte() === 1
  reader.skipInitialiser()
  return { type: type === 0x7f ? 'i32' : type === 0x7e ? 'i64' : 'other', mutable }
}

function unsigned(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80)
    rest = Math.floor(rest / 0x80)
  }
  return [...bytes, rest]
}

/** Bytes an immediate takes after the opcode of a constant expression, or 'leb' for a number of variable length. */
const immediates: ReadonlyMap<number, number | 'leb'> = new Map<number, number | 'leb'>([
  [0x41, 'leb'], // i32.const
  [0x42, 'leb'], // i64.const
  [0x43, 4], // f32.const
  [0x44, 8], // f64.const
  [0x23, 'leb'], // global.get
  [0xd0, 'leb'], // ref.null
  [0xd2, 'leb'], // ref.func
  [0xfd, 17], // v128.const, the only vector opcode allowed here
  ...[0x6a, 0x6b, 0x6c, 0x7c, 0x7d, 0x7e].map(opcode => [opcode, 0] as const), // add, sub, mul
])

class Reader {
  readonly #bytes: Uint8Array
  at: number

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes
    this.at = at
  }

  byte(): number {
    const byte = this.#bytes[this.at++]
    if (byte === undefined) throw unsupported('the module is cut short')
    return byte
  }

  /** LEB128, unsigned; exact up to 2^53. Signed ones are only skipped with it. */
  number(): number {
    let value = 0
    for (let factor = 1; ; factor *= 0x80) {
      const byte = this.byte()
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
      if (factor > 2 ** 63) throw unsupported('the module holds a number that is too long')
    }
  }

  skip(count: number): void {
    this.at += count
    if (this.at > this.#bytes.length) throw unsupported('the module is cut short')
  }

  name(): string {
    const length = this.number()
    const start = this.at
    this.skip(length)
    return Buffer.from(this.#bytes.subarray(start, this.at)).toString('utf8')
  }

  skipInitialiser(): void {
    for (let opcode = this.byte(); opcode !== 0x0b; opcode = this.byte()) {
      const immediate = immediates.get(opcode)
      if (immediate === undefined) throw unsupported('a global has an initial value of an unknown kind', { opcode })
      if (immediate === 'leb') this.number()
      else this.skip(immediate)
    }
  }
}

import type { BinaryReader } from './binary-reader.ts'
import { skipConstant } from './constant-expression.ts'
import { moduleLimits } from './limits.ts'
import type { ExportShape, ExternKind, ImportShape, MemoryShape, ValueType } from './module-shape.ts'
import { valueType } from './opcodes.ts'
import { refusal } from './refusal.ts'

export const section = {
  custom: 0,
  type: 1,
  import: 2,
  function: 3,
  table: 4,
  memory: 5,
  global: 6,
  export: 7,
  start: 8,
  element: 9,
  code: 10,
  data: 11,
  dataCount: 12,
  tag: 13,
} as const

/** Where each section id stands in a module. */
export const sectionOrder: readonly number[] = [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 12, 13, 11, 6]

/** Value types as their bytes. */
export interface FunctionType {
  readonly params: Uint8Array
  readonly results: Uint8Array
}
export interface Global {
  readonly type: number
  readonly mutable: boolean
  readonly imported: boolean
}
/** What the sections before the code say; the index spaces hold imports first. */
export interface ModuleFacts {
  types: FunctionType[]
  /** Type of each function. */
  functions: FunctionType[]
  importedFunctions: number
  /** Type of each exception tag. */
  tags: FunctionType[]
  globals: Global[]
  importedGlobals: number
  imports: ImportShape[]
  exports: ExportShape[]
  memory: MemoryShape | undefined
  tables: number
  tableEntries: number
  hasStart: boolean
}

export const emptyFacts = (): ModuleFacts => ({
  types: [],
  functions: [],
  importedFunctions: 0,
  tags: [],
  globals: [],
  importedGlobals: 0,
  imports: [],
  exports: [],
  memory: undefined,
  tables: 0,
  tableEntries: 0,
  hasStart: false,
})

export function readTypes(reader: BinaryReader, facts: ModuleFacts): void {
  for (let left = reader.count('types', moduleLimits.types); left > 0; left--) {
    const form = reader.byte()
    if (form !== 0x60) throw refusal('gc', 'the module declares struct, array or recursive types', { form })
    facts.types.push({ params: readValueTypes(reader), results: readValueTypes(reader) })
  }
}

export function readImports(reader: BinaryReader, facts: ModuleFacts): void {
  for (let left = reader.count('imports', moduleLimits.imports); left > 0; left--) {
    const module = reader.name(moduleLimits.nameBytes)
    const name = reader.name(moduleLimits.nameBytes)
    const kind = readKind(reader)
    const signature = kind === 'function' ? readImportedFunction(reader, facts) : undefined
    if (kind === 'table') readTable(reader, facts)
    if (kind === 'memory') readMemory(reader, facts, true)
    if (kind === 'global') readGlobalType(reader, facts, true)
    if (kind === 'tag') readTag(reader, facts)
    facts.imports.push({ module, name, kind, ...(signature && { signature }) })
  }
}

export function readFunctions(reader: BinaryReader, facts: ModuleFacts): void {
  for (let left = reader.count('functions', moduleLimits.functions); left > 0; left--) {
    facts.functions.push(typeAt(facts, reader.u32()))
  }
}

export function readTables(reader: BinaryReader, facts: ModuleFacts): void {
  for (let left = reader.count('tables', moduleLimits.tables); left > 0; left--) {
    if (reader.peek() === 0x40) throw refusal('typed-references', 'a table has an initial value')
    readTable(reader, facts)
  }
}

export function readMemories(reader: BinaryReader, facts: ModuleFacts): void {
  for (let left = reader.count('memories', 100); left > 0; left--) readMemory(reader, facts, false)
}

export function readTags(reader: BinaryReader, facts: ModuleFacts): void {
  for (let left = reader.count('tags', moduleLimits.tags); left > 0; left--) readTag(reader, facts)
}

export function readGlobals(reader: BinaryReader, facts: ModuleFacts): void {
  for (let left = reader.count('globals', moduleLimits.globals); left > 0; left--) {
    readGlobalType(reader, facts, false)
    skipConstant(reader, facts)
  }
}

export function readExports(reader: BinaryReader, facts: ModuleFacts): void {
  for (let left = reader.count('exports', moduleLimits.exports); left > 0; left--) {
    const name = reader.name(moduleLimits.nameBytes)
    facts.exports.push({ name, kind: readKind(reader) })
    reader.u32()
  }
}

/** Element segments: read only to be sure that their constants are of the kinds every engine knows. */
export function readElements(reader: BinaryReader, facts: ModuleFacts): void {
  for (let left = reader.count('segments', moduleLimits.segments); left > 0; left--) {
    const flags = reader.u32()
    if (flags > 7) throw refusal('invalid', 'an element segment is of no known kind', { flags })
    const passive = (flags & 1) !== 0
    const expressions = (flags & 4) !== 0
    if (!passive && (flags & 2) !== 0) reader.u32()
    if (!passive) skipConstant(reader, facts)
    if ((flags & 3) !== 0) expressions ? readValueType(reader) : reader.byte()
    for (let items = reader.u32(); items > 0; items--) expressions ? skipConstant(reader, facts) : reader.u32()
  }
}

export function readData(reader: BinaryReader, facts: ModuleFacts): void {
  for (let left = reader.count('segments', moduleLimits.segments); left > 0; left--) {
    const flags = reader.u32()
    if (flags > 1) throw refusal('multi-memory', 'a data segment names its memory', { flags })
    if (flags === 0) skipConstant(reader, facts)
    reader.skip(reader.u32())
  }
}

/** @throws AoError `UNSUPPORTED_MODULE` if there is no such type. */
export function typeAt(facts: ModuleFacts, index: number): FunctionType {
  const type = facts.types[index]
  if (type === undefined) throw refusal('invalid', 'the module names a type that it does not declare', { index })
  return type
}

export const typeNames: ReadonlyMap<number, ValueType> = new Map(
  Object.entries(valueType).map(([name, byte]) => [byte, name as ValueType]),
)

/** @throws AoError `UNSUPPORTED_MODULE` for anything but numbers, v128, funcref and externref. */
export function readValueType(reader: BinaryReader): number {
  const type = reader.byte()
  if (typeNames.has(type)) return type
  if (type === 0x63 || type === 0x64) throw refusal('typed-references', 'the module uses typed references')
  if (type === 0x69) throw refusal('exnref', 'the module uses exception references')
  throw refusal('unknown-type', 'the module uses a value type that is not metered', { type })
}

function readValueTypes(reader: BinaryReader): Uint8Array {
  const count = reader.count('values in one type', moduleLimits.values)
  const start = reader.at
  for (let i = 0; i < count; i++) readValueType(reader)
  return reader.bytes.subarray(start, reader.at)
}

const kinds: readonly ExternKind[] = ['function', 'table', 'memory', 'global', 'tag']

function readKind(reader: BinaryReader): ExternKind {
  const byte = reader.byte()
  const kind = kinds[byte]
  if (kind === undefined) throw refusal('invalid', 'an import or export is of no known kind', { kind: byte })
  return kind
}

function readImportedFunction(reader: BinaryReader, facts: ModuleFacts): NonNullable<ImportShape['signature']> {
  const type = typeAt(facts, reader.u32())
  facts.functions.push(type)
  facts.importedFunctions++
  const named = (types: Uint8Array) => Array.from(types, byte => typeNames.get(byte) ?? 'externref')
  return { params: named(type.params), results: named(type.results) }
}

function readTable(reader: BinaryReader, facts: ModuleFacts): void {
  readValueType(reader)
  const { flags, initial } = readLimits(reader)
  if ((flags & 4) !== 0) throw refusal('table64', 'a table has 64-bit indices')
  facts.tables++
  facts.tableEntries += initial
  if (facts.tables > moduleLimits.tables || facts.tableEntries > moduleLimits.tableEntries) {
    throw refusal('too-big', 'the tables begin with too many entries', {
      entries: facts.tableEntries,
      limit: moduleLimits.tableEntries,
    })
  }
}

function readMemory(reader: BinaryReader, facts: ModuleFacts, imported: boolean): void {
  if (facts.memory !== undefined) throw refusal('multi-memory', 'the module has more than one memory')
  const { flags, initial, maximum } = readLimits(reader)
  facts.memory = { initial, maximum, index64: (flags & 4) !== 0, imported }
}

// 1: has a maximum, 2: shared between threads, 4: 64-bit, 8: page size of its own
function readLimits(reader: BinaryReader): { flags: number; initial: number; maximum: number | undefined } {
  const flags = reader.byte()
  if ((flags & 2) !== 0) throw refusal('threads', 'the module shares a memory or table between threads')
  if (flags > 7) throw refusal('custom-page-size', 'a memory has pages of its own size')
  return { flags, initial: reader.u64(), maximum: (flags & 1) === 0 ? undefined : reader.u64() }
}

function readGlobalType(reader: BinaryReader, facts: ModuleFacts, imported: boolean): void {
  const type = readValueType(reader)
  const mutability = reader.byte()
  if (mutability > 1) throw refusal('threads', 'the module shares a global between threads')
  if (mutability === 1 && type < valueType.f64) {
    throw refusal('mutable-global', 'a mutable global holds a vector or a reference', { index: facts.globals.length })
  }
  facts.globals.push({ type, mutable: mutability === 1, imported })
  if (imported) facts.importedGlobals++
}

function readTag(reader: BinaryReader, facts: ModuleFacts): void {
  reader.byte()
  facts.tags.push(typeAt(facts, reader.u32()))
}

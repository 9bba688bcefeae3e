import { BinaryReader } from './binary-reader.ts'
import { BinaryWriter } from './binary-writer.ts'
import { BodyScanner } from './body-scanner.ts'
import { BodyWriter } from './body-writer.ts'
import { moduleLimits } from './limits.ts'
import {
  emptyFacts,
  type ModuleFacts,
  readData,
  readElements,
  readExports,
  readFunctions,
  readGlobals,
  readImports,
  readMemories,
  readTables,
  readTags,
  readTypes,
  section,
  sectionOrder,
  typeNames,
} from './module-sections.ts'
import type { FeatureUse, GlobalShape, ModuleShape, NumberType } from './module-shape.ts'
import { op, valueType } from './opcodes.ts'
import type { PriceTable } from './prices.ts'
import { refusal } from './refusal.ts'

export interface RewriteOptions {
  readonly prices: PriceTable
  readonly maxDepthWords: number
  readonly strict: boolean
  readonly maxInitialPages: number
  readonly startGas: number
}

export interface MeteredModule {
  readonly bytes: Uint8Array
  /** Version of the meter: with the hash of the plain module it names what is run. Part of consensus. */
  readonly identity: PriceTable['identity']
  /** Names under which the metered module exports its gas (i64), depth (i32), and each mutable global it had. */
  readonly exportsAdded: { readonly gas: string; readonly depth: string; readonly globals: readonly string[] }
  readonly shape: ModuleShape
}

export const gasExport = '__gas'
export const depthExport = '__depth'
const globalExport = (index: number): string => `__global_${index}`
const globalKind = 3

type SectionReader = (reader: BinaryReader, facts: ModuleFacts) => void
const readers: ReadonlyMap<number, SectionReader> = new Map<number, SectionReader>([
  [section.type, readTypes],
  [section.import, readImports],
  [section.function, readFunctions],
  [section.table, readTables],
  [section.memory, readMemories],
  [section.tag, readTags],
  [section.global, readGlobals],
  [section.export, readExports],
  [section.element, readElements],
  [section.data, readData],
])

/**
 * One pass over the sections of a valid module. Two globals go to the end of their index space, so no index anywhere
 * changes; only the global, export and code sections are written anew. Bytes that are not a valid module are refused
 * or give another invalid module, but never more work than their length.
 */
export class ModuleRewriter {
  readonly #bytes: Uint8Array
  readonly #options: RewriteOptions
  readonly #out: BinaryWriter
  readonly #facts = emptyFacts()
  #uses: FeatureUse = unused
  #mutableGlobals: readonly GlobalShape[] = []
  #lastPlace = 0

  constructor(bytes: Uint8Array, options: RewriteOptions) {
    this.#bytes = bytes
    this.#options = options
    this.#out = new BinaryWriter(bytes.length * 2, moduleLimits.meteredBytes)
  }

  /** @throws AoError `UNSUPPORTED_MODULE` */
  rewrite(): MeteredModule {
    const reader = new BinaryReader(this.#bytes)
    reader.skip(8)
    this.#out.copy(this.#bytes, 0, 8)
    while (!reader.done) {
      const id = reader.byte()
      const body = reader.slice(reader.u32())
      if (id === section.custom) this.#copyNames(body)
      else this.#rewriteSection(id, body)
    }
    this.#addMissing(Number.POSITIVE_INFINITY)
    return this.#result()
  }

  #result(): MeteredModule {
    const { hasStart, imports, exports, memory, tables } = this.#facts
    const mutableGlobals = this.#mutableGlobals
    return {
      bytes: this.#out.view().slice(),
      identity: this.#options.prices.identity,
      exportsAdded: { gas: gasExport, depth: depthExport, globals: mutableGlobals.map(({ exportName }) => exportName) },
      shape: { hasStart, imports, exports, memory, hasTables: tables > 0, mutableGlobals, uses: this.#uses },
    }
  }

  #rewriteSection(id: number, body: BinaryReader): void {
    const place = sectionOrder[id]
    if (place === undefined) throw refusal('unknown-section', 'the module has a section that is not metered', { id })
    if (place <= this.#lastPlace) throw refusal('invalid', 'the sections of the module are out of order', { id })
    this.#addMissing(place)
    this.#lastPlace = place
    const start = body.at
    if (id === section.start) this.#facts.hasStart = true
    const read = readers.get(id)
    read?.(body, this.#facts)
    if (read !== undefined && !body.done) throw refusal('invalid', 'a section goes on after its end', { id })
    if (id === section.import || id === section.memory) this.#checkMemory()
    if (id === section.code) this.#writeCode(body)
    else if (id === section.global) this.#writeGlobals(body, start)
    else if (id === section.export) this.#writeExports(body, start)
    else this.#writeSection(id, body.bytes, start, body.end)
  }

  /** Only names are kept: offsets into code, as debuggers use, would be wrong. */
  #copyNames(body: BinaryReader): void {
    const start = body.at
    if (body.name(body.end - start) === 'name') this.#writeSection(section.custom, body.bytes, start, body.end)
  }

  #checkMemory(): void {
    const pages = this.#facts.memory?.initial ?? 0
    const limit = this.#options.maxInitialPages
    if (pages > limit) throw refusal('initial-memory', 'the module begins with too much memory', { pages, limit })
  }

  /** Writes the sections that must stand before `place` and that the module does not have. */
  #addMissing(place: number): void {
    const missing = (id: number): boolean => {
      const own = sectionOrder[id] ?? 0
      return own > this.#lastPlace && own < place
    }
    const nothing = new BinaryReader(noEntries)
    if (missing(section.global)) this.#writeGlobals(nothing, 0)
    if (missing(section.export)) this.#writeExports(nothing, 0)
  }

  #writeGlobals(body: BinaryReader, start: number): void {
    const { globals, importedGlobals } = this.#facts
    this.#mutableGlobals = mutableNumbers(this.#facts)
    const writer = new BinaryWriter(body.end - start + 32, moduleLimits.meteredBytes)
    writer.u32(globals.length - importedGlobals + 2)
    writer.copy(body.bytes, behindCount(body, start), body.end)
    writer.bytes(valueType.i64, 1, op.i64Const)
    writer.signed(this.#options.startGas)
    writer.bytes(op.end, valueType.i32, 1, op.i32Const, 0, op.end)
    this.#writeWritten(section.global, writer)
  }

  #writeExports(body: BinaryReader, start: number): void {
    const { globals, exports } = this.#facts
    const added = [
      { name: gasExport, index: globals.length },
      { name: depthExport, index: globals.length + 1 },
      ...this.#mutableGlobals.map(({ exportName, index }) => ({ name: exportName, index })),
    ]
    const taken = new Set(exports.map(({ name }) => name))
    const writer = new BinaryWriter(body.end - start + 24 * added.length, moduleLimits.meteredBytes)
    writer.u32(exports.length + added.length)
    writer.copy(body.bytes, behindCount(body, start), body.end)
    for (const { name, index } of added) {
      if (taken.has(name))
        throw refusal('reserved-export', 'the module exports a name that belongs to the meter', { name })
      writer.name(name)
      writer.byte(globalKind)
      writer.u32(index)
    }
    this.#writeWritten(section.export, writer)
  }

  #writeCode(body: BinaryReader): void {
    const { prices, maxDepthWords, strict } = this.#options
    const { functions, importedFunctions, globals } = this.#facts
    const scanner = new BodyScanner(this.#facts, prices, strict)
    const scratch = new BinaryWriter(65_536, moduleLimits.meteredBodyBytes)
    const depth = globals.length + 1
    const bodies = new BodyWriter(scratch, { gas: globals.length, depth }, prices, maxDepthWords)
    const code = new BinaryWriter((body.end - body.at) * 2, moduleLimits.meteredBytes)
    const count = body.count('functions', moduleLimits.functions)
    if (count !== functions.length - importedFunctions)
      throw refusal('invalid', 'functions and bodies differ in number')
    code.u32(count)
    for (const type of functions.slice(importedFunctions)) {
      const size = body.count('bytes in one function', moduleLimits.bodyBytes)
      scratch.clear()
      bodies.write(body.bytes, scanner.scan(body.slice(size), type))
      code.u32(scratch.length)
      code.copy(scratch.view(), 0, scratch.length)
    }
    if (!body.done) throw refusal('invalid', 'a section goes on after its end', { id: section.code })
    this.#uses = { ...scanner.uses }
    this.#writeWritten(section.code, code)
  }

  #writeWritten(id: number, writer: BinaryWriter): void {
    this.#writeSection(id, writer.view(), 0, writer.length)
  }

  #writeSection(id: number, bytes: Uint8Array, from: number, to: number): void {
    this.#out.byte(id)
    this.#out.u32(to - from)
    this.#out.copy(bytes, from, to)
  }
}

const noEntries = Uint8Array.of(0)
const unused: FeatureUse = {
  tableChanges: false,
  segmentDrops: false,
  exceptions: false,
  simd: false,
  memoryGrow: false,
}

function mutableNumbers({ globals }: ModuleFacts): readonly GlobalShape[] {
  const found: GlobalShape[] = []
  for (const [index, { type, mutable, imported }] of globals.entries()) {
    if (!mutable) continue
    found.push({ index, type: typeNames.get(type) as NumberType, exportName: globalExport(index), imported })
  }
  const limit = moduleLimits.mutableGlobals
  if (found.length > limit) throw refusal('too-big', 'the module has too many mutable globals', { limit })
  return found
}

/** Where the entries of a section begin: its count is written anew. */
function behindCount(body: BinaryReader, start: number): number {
  const reader = new BinaryReader(body.bytes, start, body.end)
  reader.u32()
  return reader.at
}

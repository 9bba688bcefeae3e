import { BinaryReader } from '../meter/binary-reader.ts'
import { skipConstant } from '../meter/constant-expression.ts'
import { moduleLimits } from '../meter/limits.ts'
import { emptyFacts, type ModuleFacts, readGlobals, readImports, readTypes, section } from '../meter/module-sections.ts'
import { op, valueType } from '../meter/opcodes.ts'
import { skipImmediates } from './code.ts'

/** Where a section's content is in the module. */
export interface Section {
  readonly id: number
  readonly from: number
  readonly to: number
}

/** The functions that asyncify adds: nothing but these sets its state, and only the host can call them. */
const switches = ['start_unwind', 'stop_unwind', 'start_rewind', 'stop_rewind'].map(name => `asyncify_${name}`)
const getter = 'asyncify_get_state'

/** Only in code that asyncify does not make, or that is hostile. */
const unheard: readonly number[] = [op.try, op.catch, op.catchAll, op.delegate, op.throw, 0x09]

export function sectionsOf(bytes: Uint8Array): readonly Section[] {
  const reader = new BinaryReader(bytes, 8)
  const found: Section[] = []
  while (!reader.done) {
    const id = reader.byte()
    const { at: from, end: to } = reader.slice(reader.u32())
    found.push({ id, from, to })
  }
  return found
}

/**
 * The global in which asyncify keeps its state, if that is zero for as long as the host calls none of the functions that
 * asyncify added. Proven for this module, whoever made it: the global begins at zero, is set in those functions alone, and
 * no code of the module, no table and no other export leads to them.
 */
export function restingState(bytes: Uint8Array, sections: readonly Section[]): number | undefined {
  const facts = emptyFacts()
  const read = (id: number, how: (reader: BinaryReader, facts: ModuleFacts) => void): void => {
    const found = sections.find(entry => entry.id === id)
    if (found !== undefined) how(new BinaryReader(bytes, found.from, found.to), facts)
  }
  if (sections.some(({ id }) => id === section.tag)) return undefined
  read(section.type, readTypes)
  read(section.import, readImports)
  read(section.global, readGlobals)
  let state: number | undefined
  let added: ReadonlySet<number> | undefined
  read(section.export, reader => {
    added = addedFunctions(reader)
  })
  read(section.code, reader => {
    if (added !== undefined) state = stateOf(reader, facts, added)
  })
  if (state === undefined || added === undefined) return undefined
  const leads = { state, added }
  let isResting = beginsAtZero(bytes, sections, facts, state)
  read(section.export, reader => {
    isResting &&= !exportsGlobal(reader, leads.state)
  })
  read(section.start, reader => {
    isResting &&= !leads.added.has(reader.u32())
  })
  read(section.element, reader => {
    isResting &&= !elementsLead(reader, facts, leads.added)
  })
  read(section.code, reader => {
    isResting &&= !codeLeads(reader, facts, leads)
  })
  return isResting ? state : undefined
}

function* exportsOf(reader: BinaryReader): Generator<{ name: string; kind: number; index: number }> {
  for (let left = reader.count('exports', moduleLimits.exports); left > 0; left--) {
    yield { name: reader.name(moduleLimits.nameBytes), kind: reader.byte(), index: reader.u32() }
  }
}

/** Of the five, two of which may be one function; or none if one is missing or some have other names too. */
function addedFunctions(reader: BinaryReader): ReadonlySet<number> | undefined {
  const functions = [...exportsOf(reader)].filter(({ kind }) => kind === 0)
  const isAdded = ({ name }: { readonly name: string }): boolean => name === getter || switches.includes(name)
  const added = new Set(functions.filter(isAdded).map(({ index }) => index))
  const areAll = functions.filter(isAdded).length === switches.length + 1
  return areAll && functions.every(entry => isAdded(entry) || !added.has(entry.index)) ? added : undefined
}

const exportsGlobal = (reader: BinaryReader, index: number): boolean =>
  [...exportsOf(reader)].some(entry => entry.kind === 3 && entry.index === index)

/** What the getter gives: the one added function whose whole code is `global.get`. */
function stateOf(reader: BinaryReader, facts: ModuleFacts, added: ReadonlySet<number>): number | undefined {
  let state: number | undefined
  for (const { index, body } of bodiesOf(reader, facts)) {
    if (!added.has(index) || body.byte() !== 0 || body.byte() !== op.globalGet) continue
    const global = body.u32()
    if (body.byte() === op.end && body.done) state = global
  }
  return state
}

function beginsAtZero(bytes: Uint8Array, sections: readonly Section[], facts: ModuleFacts, index: number): boolean {
  const global = facts.globals[index]
  const found = sections.find(({ id }) => id === section.global)
  if (found === undefined || global?.type !== valueType.i32 || !global.mutable || global.imported) return false
  const reader = new BinaryReader(bytes, found.from, found.to)
  reader.u32()
  for (let at = facts.importedGlobals; at < index; at++) {
    reader.skip(2)
    skipConstant(reader, facts)
  }
  reader.skip(2)
  return reader.byte() === op.i32Const && reader.byte() === 0
}

/** Segments that hold more than indices could name a function in other ways: those are not looked into. */
function elementsLead(reader: BinaryReader, facts: ModuleFacts, added: ReadonlySet<number>): boolean {
  for (let left = reader.count('segments', moduleLimits.segments); left > 0; left--) {
    const flags = reader.u32()
    if ((flags & 4) !== 0) return true
    if (flags === 2) reader.u32()
    if ((flags & 1) === 0) skipConstant(reader, facts)
    if ((flags & 3) !== 0) reader.byte()
    for (let items = reader.u32(); items > 0; items--) if (added.has(reader.u32())) return true
  }
  return false
}

function codeLeads(
  reader: BinaryReader,
  facts: ModuleFacts,
  { state, added }: { readonly state: number; readonly added: ReadonlySet<number> },
): boolean {
  for (const { index, body } of bodiesOf(reader, facts)) {
    const mayWrite = added.has(index)
    skipLocals(body)
    while (!body.done) {
      const opcode = body.byte()
      if (unheard.includes(opcode)) return true
      const at = body.at
      skipImmediates(body, opcode)
      const names = opcode === op.call || opcode === op.returnCall || opcode === op.refFunc
      if (!names && opcode !== op.globalSet) continue
      const named = new BinaryReader(body.bytes, at, body.at).u32()
      if (names ? added.has(named) : named === state && !mayWrite) return true
    }
  }
  return false
}

/** Groups of locals of one type. */
export function skipLocals(body: BinaryReader): void {
  for (let left = body.u32(); left > 0; left--) {
    body.skipLeb()
    body.skip(1)
  }
}

export function* bodiesOf(
  reader: BinaryReader,
  { importedFunctions }: Pick<ModuleFacts, 'importedFunctions'>,
): Generator<{ readonly index: number; readonly body: BinaryReader }> {
  const count = reader.count('functions', moduleLimits.functions)
  for (let i = 0; i < count; i++) yield { index: importedFunctions + i, body: reader.slice(reader.u32()) }
}

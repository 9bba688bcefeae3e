import { BinaryReader } from '../meter/binary-reader.ts'
import { BinaryWriter } from '../meter/binary-writer.ts'
import { moduleLimits } from '../meter/limits.ts'
import { section } from '../meter/module-sections.ts'
import { bodiesOf, restingState, type Section, sectionsOf, skipLocals } from './at-rest.ts'
import { Folder } from './fold.ts'
import { writePieces } from './folded-body.ts'

/** Larger functions are left as they are: each instruction takes memory while a function is looked at. */
const maxBodyBytes = 512 << 10

/**
 * The module without what asyncify added to put a running call aside and take it up later, which never happens here. In
 * aos that is a third of the time of each message. Equal bytes give equal bytes, and what the module does is the same as
 * long as the host leaves its `asyncify_…` functions alone (`restingState` has the proof, without which nothing changes).
 *
 * @param bytes a valid module.
 */
export function stripAsyncify(bytes: Uint8Array): Uint8Array {
  const sections = sectionsOf(bytes)
  const state = restingState(bytes, sections)
  if (state === undefined) return bytes
  const out = new BinaryWriter(bytes.length, moduleLimits.meteredBytes)
  out.copy(bytes, 0, 8)
  for (const entry of sections) {
    out.byte(entry.id)
    if (entry.id === section.code) writeCode(out, bytes, entry, state)
    else {
      out.u32(entry.to - entry.from)
      out.copy(bytes, entry.from, entry.to)
    }
  }
  return out.view().slice()
}

function writeCode(out: BinaryWriter, bytes: Uint8Array, { from, to }: Section, state: number): void {
  const code = new BinaryWriter(to - from, moduleLimits.meteredBytes)
  const scratch = new BinaryWriter(65_536, moduleLimits.meteredBytes)
  code.u32(new BinaryReader(bytes, from, to).u32())
  for (const { body } of bodiesOf(new BinaryReader(bytes, from, to), { importedFunctions: 0 })) {
    const start = body.at
    scratch.clear()
    skipLocals(body)
    scratch.copy(bytes, start, body.at)
    if (body.end - start > maxBodyBytes) scratch.copy(bytes, body.at, body.end)
    else writePieces(scratch, bytes, new Folder(body, state).fold())
    code.u32(scratch.length)
    code.copy(scratch.view(), 0, scratch.length)
  }
  out.u32(code.length)
  out.copy(code.view(), 0, code.length)
}

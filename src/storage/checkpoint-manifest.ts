import { equalBytes, sha256, toUtf8, utf8 } from '../lib/bytes.ts'
import { AoError } from '../lib/errors.ts'
import { canonicalJson, type Json } from '../lib/json.ts'
import type { Checkpoint } from '../ports/checkpoint-store.ts'
import type { VmImage } from '../ports/vm.ts'
import { parseAssignment } from '../protocol/assignment.ts'
import { parseStoredItem } from '../protocol/data-item.ts'
import { type Id, idFromBytes, idToBytes, type ModuleId, parseId } from '../protocol/ids.ts'
import { stateRootOf } from '../protocol/state-root.ts'
import { joinParts, splitParts } from './parts.ts'

/** Where a page stands and what it must hash to. */
export interface PageRef {
  readonly index: number
  readonly hash: Id
}

/** A checkpoint without the bytes of its pages. */
export interface Manifest extends Omit<Checkpoint, 'image'> {
  readonly image: Omit<VmImage, 'pages'>
  readonly pages: readonly PageRef[]
}

interface Header {
  readonly module: string
  readonly meter: string
  readonly attestedRoot: string
  readonly stateRoot: string
  readonly memoryBytes: number
  readonly globals: readonly string[]
  readonly applied: number
  readonly counters: Json
  readonly notes: Json
}

const checksumBytes = 32
const refBytes = 36

/** SHA-256 of the rest, then header as JSON, assignment, and for each page u32(index) and hash. */
export function encodeManifest({ module, meter, assignment, attestedRoot, notes, image }: Checkpoint): Uint8Array {
  const { memoryBytes, stateRoot, applied, counters, pages } = image
  const globals = image.globals.map(String)
  const header = { module, meter, attestedRoot, stateRoot, memoryBytes, globals, applied, counters, notes }
  const table = Buffer.alloc(pages.length * refBytes)
  for (const [i, { index, hash }] of pages.entries()) {
    table.writeUInt32BE(index, i * refBytes)
    table.set(idToBytes(hash), i * refBytes + 4)
  }
  const body = joinParts(utf8(canonicalJson(header)), assignment.raw, table)
  return Buffer.concat([sha256(body), body])
}

/** @throws AoError `STORE_CORRUPT` unless the bytes are as they were written, and the pages give the root. */
export function decodeManifest(bytes: Uint8Array): Manifest {
  const body = bytes.subarray(checksumBytes)
  if (!equalBytes(sha256(body), bytes.subarray(0, checksumBytes)))
    throw damaged('the manifest is not as it was written')
  const [head, item, table] = splitParts(body, 3)
  const header = JSON.parse(toUtf8(head)) as Header
  const pages = readTable(table)
  const { memoryBytes, applied, counters, notes, meter } = header
  const globals = header.globals.map(BigInt)
  const stateRoot = stateRootOf({ memoryBytes, globals, pages: pages.map(page => [page.index, idToBytes(page.hash)]) })
  if (stateRoot !== header.stateRoot) throw damaged('the pages do not give the state root')
  return {
    module: parseId<ModuleId>(header.module),
    meter,
    assignment: parseAssignment(parseStoredItem(item)),
    attestedRoot: parseId(header.attestedRoot),
    notes,
    image: { memoryBytes, globals, stateRoot, applied, counters },
    pages,
  }
}

function readTable(bytes: Uint8Array): PageRef[] {
  const table = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Array.from({ length: table.length / refBytes }, (_, i) => ({
    index: table.readUInt32BE(i * refBytes),
    hash: idFromBytes(table.subarray(i * refBytes + 4, (i + 1) * refBytes)),
  }))
}

export const damaged = (what: string): AoError =>
  new AoError('STORE_CORRUPT', `a checkpoint is damaged: ${what}`, {}, { hint: 'An older one will be used.' })

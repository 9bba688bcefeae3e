import type { Checkpoint } from '../../src/ports/checkpoint-store.ts'
import type { VmImage } from '../../src/ports/vm.ts'
import type { Assignment } from '../../src/protocol/assignment.ts'
import { idFromBytes, idToBytes } from '../../src/protocol/ids.ts'
import { pageHash, statePageBytes, stateRootOf } from '../../src/protocol/state-root.ts'
import { anId } from './builders.ts'

/** An image whose pages hold these numbers; equal numbers make equal pages. */
export function anImage(fills: readonly number[], applied = 1): VmImage {
  const memoryBytes = (fills.length + 3) * statePageBytes
  const globals = [1n, 2n ** 64n - 1n]
  const pages = fills.map((fill, i) => {
    const bytes = new Uint8Array(statePageBytes).fill(fill % 251, 0, 5000)
    new DataView(bytes.buffer).setUint32(9000, fill)
    return { index: i * 2 - Math.floor(i / 2), hash: idFromBytes(pageHash(bytes)), bytes }
  })
  const stateRoot = stateRootOf({ memoryBytes, globals, pages: pages.map(p => [p.index, idToBytes(p.hash)]) })
  return { memoryBytes, globals, pages, stateRoot, applied, counters: { gas: '12345678901234567890', messages: 3 } }
}

export const aCheckpoint = (assignment: Assignment, fills: readonly number[]): Checkpoint => ({
  module: anId('module'),
  meter: 'gas-1',
  assignment,
  attestedRoot: anId(`attested ${assignment.nonce}`),
  image: anImage(fills, assignment.nonce + 1),
  notes: { cron: [1, 2] },
})

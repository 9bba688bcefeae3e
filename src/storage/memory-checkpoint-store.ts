import type { Checkpoint, CheckpointStore, CheckpointTotals } from '../ports/checkpoint-store.ts'
import type { VmImage } from '../ports/vm.ts'
import type { Nonce, ProcessId } from '../protocol/ids.ts'

/** A CheckpointStore that forgets everything at the end of the program. */
export class MemoryCheckpointStore implements CheckpointStore {
  readonly #processes = new Map<ProcessId, Map<Nonce, Checkpoint>>()

  async put(checkpoint: Checkpoint, keep: (nonces: readonly Nonce[]) => readonly Nonce[]): Promise<void> {
    const { process, nonce } = checkpoint.assignment
    const rows = new Map(this.#processes.get(process)).set(nonce, copyOf(checkpoint))
    const kept = keep(newestFirst(rows))
    this.#set(process, new Map([...rows].filter(([other]) => kept.includes(other))))
  }

  async nonces(process: ProcessId): Promise<readonly Nonce[]> {
    return newestFirst(this.#processes.get(process) ?? new Map())
  }

  async get(process: ProcessId, nonce: Nonce): Promise<Checkpoint | undefined> {
    const found = this.#processes.get(process)?.get(nonce)
    return found === undefined ? undefined : copyOf(found)
  }

  async remove(process: ProcessId, nonces: readonly Nonce[]): Promise<void> {
    const rows = this.#processes.get(process) ?? new Map<Nonce, Checkpoint>()
    this.#set(process, new Map([...rows].filter(([nonce]) => !nonces.includes(nonce))))
  }

  async totals(): Promise<CheckpointTotals> {
    const checkpoints = [...this.#processes.values()].flatMap(rows => [...rows.values()])
    const pages = new Map(
      checkpoints.flatMap(({ image }) => image.pages).map(({ hash, bytes }) => [hash, bytes.length]),
    )
    const bytes = [...pages.values()].reduce((sum, length) => sum + length, 0)
    return { processes: this.#processes.size, checkpoints: checkpoints.length, pages: pages.size, bytes }
  }

  async sweep(): Promise<{ readonly removed: number; readonly done: boolean }> {
    return { removed: 0, done: true }
  }

  #set(process: ProcessId, rows: Map<Nonce, Checkpoint>): void {
    if (rows.size === 0) this.#processes.delete(process)
    else this.#processes.set(process, rows)
  }
}

const newestFirst = (rows: ReadonlyMap<Nonce, unknown>): Nonce[] => [...rows.keys()].sort((a, b) => b - a)

/** Whoever has an image may hand its bytes over to another thread. */
const copyOf = (checkpoint: Checkpoint): Checkpoint => ({
  ...checkpoint,
  image: structuredClone(checkpoint.image) as VmImage,
})

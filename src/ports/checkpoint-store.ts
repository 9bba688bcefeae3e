import type { Json } from '../lib/json.ts'
import type { Assignment } from '../protocol/assignment.ts'
import type { Id, ModuleId, Nonce, ProcessId } from '../protocol/ids.ts'
import type { VmImage } from './vm.ts'

/** The state of a Process after one of its messages, and all that is needed to go on from it. */
export interface Checkpoint {
  readonly module: ModuleId
  /** The gas rules it was evaluated under. */
  readonly meter: string
  /** The last Assignment applied: names the Process and the nonce, and the next one must link to it. */
  readonly assignment: Assignment
  /** What the Result of that nonce has as state root. */
  readonly attestedRoot: Id
  readonly image: VmImage
  /** What the replay counts from message to message beside the VM. Only the replay reads it. */
  readonly notes: Json
}

/** Pages are counted once, however many checkpoints share them. */
export interface CheckpointTotals {
  readonly processes: number
  readonly checkpoints: number
  readonly pages: number
  /** Of pages and manifests as they are on disk. */
  readonly bytes: number
}

/**
 * Checkpoints of a CU's own making. Equal pages are kept once, whatever checkpoints and Processes they are of.
 *
 * Invariant: after a crash at any point each checkpoint is there with all its pages, or not at all.
 */
export interface CheckpointStore {
  /**
   * Keeps it, and of the Process's other checkpoints those whose nonces `keep` picks; all or nothing. One of the same
   * nonce is replaced.
   *
   * @param keep Given all nonces, newest first, that of the new one among them.
   * @throws AoError `LOG_WRITE_FAILED` | `OVERLOADED` | `STOPPING`; then nothing has changed.
   */
  put(checkpoint: Checkpoint, keep: (nonces: readonly Nonce[]) => readonly Nonce[]): Promise<void>
  /** Newest first. */
  nonces(process: ProcessId): Promise<readonly Nonce[]>
  /**
   * Checked to the last byte; its image may be handed to a VM.
   *
   * @throws AoError `STORE_CORRUPT` if the manifest or a page is damaged or missing. Both are removed then: who puts the
   * same page again mends the others that share it.
   */
  get(process: ProcessId, nonce: Nonce): Promise<Checkpoint | undefined>
  remove(process: ProcessId, nonces: readonly Nonce[]): Promise<void>
  totals(): Promise<CheckpointTotals>
  /**
   * Looks at the next `limit` rows, in a round over all, and removes what no checkpoint needs: damage may leave such.
   * Resolves with how many were removed, and whether the round is over.
   */
  sweep(limit: number): Promise<{ readonly removed: number; readonly done: boolean }>
}

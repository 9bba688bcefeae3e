import type { Level } from 'level'
import { AoError } from '../lib/errors.ts'
import { failpoint } from '../lib/failpoint.ts'
import type { DiskRoom } from './disk-room.ts'
import type { KeyRange } from './keys.ts'
import type { Store, WriteOp } from './store.ts'

export type BinaryLevel = Level<Buffer, Buffer>
type Batch = ReturnType<BinaryLevel['batch']>

/** Writes that wait hold at most this many bytes; a single larger one may still go alone. */
const maxWaitingBytes = 256 * 1024 * 1024
/** Keys that are read on this thread. */
const readAtOnce = 4
/** What a waiting op costs beside its key and value. */
const opOverheadBytes = 64

/** A Store over an open LevelDB. */
export class LevelStore implements Store {
  readonly dir: string
  readonly #db: BinaryLevel
  readonly #room: DiskRoom | undefined
  #waiting: WriteOp[] = []
  #waitingBytes = 0
  /** Whether one of the writes that wait asks for the disk. */
  #waitingSync = false
  /** The commit that will take what waits. */
  #next: Promise<void> | undefined
  /** Whether one is under way, so that the next waits for it. */
  #committing = false
  /** Settles, without failure, when the last commit asked for has. */
  #quiet: Promise<void> = Promise.resolve()
  #closed: Promise<void> | undefined

  constructor(dir: string, db: BinaryLevel, room?: DiskRoom) {
    this.dir = dir
    this.#db = db
    this.#room = room
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return (await this.getMany([key]))[0]
  }

  async getMany(keys: readonly Uint8Array[]): Promise<readonly (Uint8Array | undefined)[]> {
    if (keys.length === 0) return []
    // A few keys are mostly in memory, and read in less time than it takes to hand them to another thread.
    if (keys.length <= readAtOnce) return this.#reading(async () => keys.map(key => this.#db.getSync(key as Buffer)))
    return this.#reading(() => this.#db.getMany(keys as Buffer[]))
  }

  async *entries(range: KeyRange): AsyncIterable<readonly [Uint8Array, Uint8Array]> {
    const iterator = await this.#reading(async () => this.#db.iterator(levelRange(range)))
    try {
      for (;;) {
        const entry = await this.#reading(() => iterator.next())
        if (entry === undefined) return
        yield entry
      }
    } finally {
      await iterator.close()
    }
  }

  lookUp(index: KeyRange, rowKey: (indexKey: Uint8Array) => Uint8Array): Promise<readonly Uint8Array[]> {
    return this.#reading(async () => {
      const snapshot = this.#db.snapshot()
      try {
        const keys = await this.#db.keys({ ...levelRange(index), snapshot }).all()
        const rows = await this.#db.getMany(
          keys.map(key => rowKey(key) as Buffer),
          { snapshot },
        )
        return rows.filter(row => row !== undefined)
      } finally {
        await snapshot.close()
      }
    })
  }

  async write(ops: readonly WriteOp[], { sync = true }: { readonly sync?: boolean } = {}): Promise<void> {
    if (this.#closed !== undefined) throw stopping()
    let bytes = 0
    for (const op of ops) bytes += sizeOf(op)
    const shortage = this.#room?.shortage(bytes)
    // Deleting makes room.
    if (shortage !== undefined && ops.some(({ type }) => type === 'put')) throw shortage
    if (this.#waiting.length > 0 && this.#waitingBytes + bytes > maxWaitingBytes) {
      throw new AoError('OVERLOADED', 'too much waits for the disk', { bytes: this.#waitingBytes })
    }
    for (const op of ops) this.#waiting.push(op)
    this.#waitingBytes += bytes
    this.#waitingSync ||= sync
    if (this.#next === undefined) {
      this.#next = (this.#committing ? this.#quiet : endOfTurn()).then(() => this.#commit())
      this.#quiet = this.#next.catch(() => undefined) // its writers hear of the failure
    }
    return this.#next
  }

  close(): Promise<void> {
    this.#closed ??= this.#quiet.then(() => this.#db.close())
    return this.#closed
  }

  async #commit(): Promise<void> {
    const ops = this.#waiting
    const sync = this.#waitingSync
    this.#waiting = []
    this.#waitingBytes = 0
    this.#waitingSync = false
    this.#next = undefined
    this.#committing = true
    failpoint('store-writing')
    try {
      await this.#batchOf(ops).write({ sync })
      failpoint('store-written')
    } catch (cause) {
      throw new AoError(
        'LOG_WRITE_FAILED',
        'the disk refused to write',
        { dir: this.dir },
        { cause, hint: 'Look at the space, the health and the rights of the disk, then start the node again.' },
      )
    } finally {
      this.#committing = false
    }
  }

  /** Built op by op, which costs a quarter of handing them over as an array. */
  #batchOf(ops: readonly WriteOp[]): Batch {
    const batch = this.#db.batch()
    for (const op of ops) {
      if (op.type === 'put') batch.put(op.key as Buffer, op.value as Buffer)
      else batch.del(op.key as Buffer)
    }
    return batch
  }

  async #reading<T>(read: () => Promise<T>): Promise<T> {
    if (this.#closed !== undefined) throw stopping()
    try {
      return await read()
    } catch (cause) {
      if (this.#closed !== undefined) throw stopping()
      throw new AoError(
        'STORE_CORRUPT',
        'the store cannot be read',
        { dir: this.dir },
        { cause, hint: 'Look at the disk; restore the data directory from a copy if it is damaged.' },
      )
    }
  }
}

/** When all that is ready now has run: what it writes goes to the disk together. */
const endOfTurn = (): Promise<void> => new Promise(resolve => process.nextTick(resolve))
const levelRange = ({ gte, lt, reverse, limit }: KeyRange) => ({
  gte: gte as Buffer,
  lt: lt as Buffer,
  reverse: reverse ?? false,
  limit: limit ?? -1,
})
const sizeOf = (op: WriteOp): number => opOverheadBytes + op.key.length + (op.type === 'put' ? op.value.length : 0)
const stopping = (): AoError => new AoError('STOPPING', 'the store is closed')

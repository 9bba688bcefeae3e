import { toUtf8, utf8 } from '../lib/bytes.ts'
import { mapLimited } from '../lib/map-limited.ts'
import type { Checkpoint, CheckpointStore, CheckpointTotals } from '../ports/checkpoint-store.ts'
import type { VmPage } from '../ports/vm.ts'
import type { Id, Nonce, ProcessId } from '../protocol/ids.ts'
import { statePageBytes } from '../protocol/state-root.ts'
import { decodeManifest, encodeManifest, type Manifest } from './checkpoint-manifest.ts'
import { CheckpointSweep } from './checkpoint-sweep.ts'
import { checkpointTables as tables } from './checkpoint-tables.ts'
import { decoding } from './decoding.ts'
import { KeyedLock } from './keyed-lock.ts'
import { packPage, unpackPage } from './page-codec.ts'
import { del, present, put, type Store, type WriteOp } from './store.ts'

/** Pages packed or unpacked at once: Node has four threads for such, and the disk needs some of them. */
const pagesAtOnce = 2

/**
 * The CheckpointStore on disk. Pages are named by their hash, and each is kept as long as a manifest names it.
 *
 * Invariant: all changes go one after the other, each in one write. So what a change found out about shared pages still
 * holds when it is written. They are not synced: a power cut may cost the newest checkpoints, never their wholeness.
 */
export class LevelCheckpointStore implements CheckpointStore {
  readonly #store: Store
  readonly #lock = new KeyedLock()
  readonly #sweep: CheckpointSweep

  constructor(store: Store) {
    this.#store = store
    this.#sweep = new CheckpointSweep(store)
  }

  put(checkpoint: Checkpoint, keep: (nonces: readonly Nonce[]) => readonly Nonce[]): Promise<void> {
    return this.#alone(async () => {
      const { process, nonce } = checkpoint.assignment
      const before = await this.nonces(process)
      const all = [nonce, ...before.filter(other => other !== nonce)].sort((a, b) => b - a)
      const kept = new Set(keep(all))
      const dropped = before.filter(other => other === nonce || !kept.has(other))
      const change = new Change(await this.totals())
      const hashes = new Set(checkpoint.image.pages.map(({ hash }) => hash))
      await this.#drop(change, { process, nonces: dropped, except: hashes })
      await this.#addPages(change, checkpoint.image.pages)
      change.putManifest(tables.manifestKey(process, nonce), encodeManifest(checkpoint))
      for (const hash of hashes) change.ops.push(put(tables.refKey(hash, process, nonce), present))
      if (before.length === 0) change.processes++
      await this.#write(change)
    })
  }

  async nonces(process: ProcessId): Promise<readonly Nonce[]> {
    const found: Nonce[] = []
    for await (const [key] of this.#store.entries({ ...tables.manifestsOf(process), reverse: true })) {
      found.push(tables.nonceOf(key))
    }
    return found
  }

  async get(process: ProcessId, nonce: Nonce): Promise<Checkpoint | undefined> {
    const bytes = await this.#store.get(tables.manifestKey(process, nonce))
    if (bytes === undefined) return undefined
    try {
      const { pages, image, ...rest } = decoding('checkpoint', () => decodeManifest(bytes))
      return { ...rest, image: { ...image, pages: await this.#readPages(pages) } }
    } catch (error) {
      if ((await this.#store.get(tables.manifestKey(process, nonce))) === undefined) return undefined // dropped meanwhile
      await this.remove(process, [nonce])
      throw error
    }
  }

  remove(process: ProcessId, nonces: readonly Nonce[]): Promise<void> {
    return this.#alone(async () => {
      const change = new Change(await this.totals())
      const before = await this.nonces(process)
      const dropped = before.filter(nonce => nonces.includes(nonce))
      if (dropped.length === 0) return
      await this.#drop(change, { process, nonces: dropped, except: new Set() })
      if (dropped.length === before.length) change.processes--
      await this.#write(change)
    })
  }

  /** They steer nothing but limits and gauges: if their row is damaged, counting begins anew. */
  async totals(): Promise<CheckpointTotals> {
    const row = await this.#store.get(tables.totalsKey)
    try {
      return row === undefined ? none : (JSON.parse(toUtf8(row)) as CheckpointTotals)
    } catch {
      return none
    }
  }

  sweep(limit: number): Promise<{ readonly removed: number; readonly done: boolean }> {
    return this.#alone(async () => {
      const { pages, ops, done } = await this.#sweep.next(limit)
      const change = new Change(await this.totals())
      change.ops.push(...ops)
      for (const [hash, packed] of pages) change.delPage(tables.pageKey(hash), packed)
      if (change.ops.length > 0) await this.#write(change)
      return { removed: change.ops.length - (change.ops.length > 0 ? 1 : 0), done }
    })
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    return this.#lock.run(['checkpoints'], work)
  }

  async #write(change: Change): Promise<void> {
    change.ops.push(put(tables.totalsKey, utf8(JSON.stringify(change.totals()))))
    await this.#store.write(change.ops, { sync: false })
  }

  async #addPages(change: Change, pages: readonly VmPage[]): Promise<void> {
    const unique = [...new Map(pages.map(page => [page.hash, page.bytes]))]
    const stored = await this.#store.getMany(unique.map(([hash]) => tables.pageKey(hash)))
    const missing = unique.filter((_, i) => stored[i] === undefined)
    const packed = await mapLimited(missing, pagesAtOnce, ([, bytes]) => packPage(bytes))
    for (const [i, [hash]] of missing.entries()) change.putPage(tables.pageKey(hash), packed[i] ?? present)
  }

  async #readPages(refs: Manifest['pages']): Promise<VmPage[]> {
    const buffer = new ArrayBuffer(refs.length * statePageBytes)
    const packed = await this.#store.getMany(refs.map(({ hash }) => tables.pageKey(hash)))
    return mapLimited(refs, pagesAtOnce, async ({ index, hash }, i) => {
      const bytes = new Uint8Array(buffer, i * statePageBytes, statePageBytes)
      try {
        await unpackPage(packed[i], hash, bytes)
      } catch (error) {
        await this.#forgetPage(hash)
        throw error
      }
      return { index, hash, bytes }
    })
  }

  /** A damaged page: once it is gone, it is written anew by the next checkpoint that has it. */
  #forgetPage(hash: Id): Promise<void> {
    return this.#alone(async () => {
      const change = new Change(await this.totals())
      const packed = await this.#store.get(tables.pageKey(hash))
      if (packed === undefined) return
      change.delPage(tables.pageKey(hash), packed)
      await this.#write(change)
    })
  }

  /** Drops checkpoints of one Process, and pages that are of no other, `except` those. */
  async #drop(
    change: Change,
    { process, nonces, except }: { process: ProcessId; nonces: readonly Nonce[]; except: ReadonlySet<Id> },
  ): Promise<void> {
    const rows = await this.#store.getMany(nonces.map(nonce => tables.manifestKey(process, nonce)))
    const candidates = new Set<Id>()
    for (const [i, nonce] of nonces.entries()) {
      change.delManifest(tables.manifestKey(process, nonce), rows[i] ?? present)
      for (const hash of hashesOf(rows[i])) {
        candidates.add(hash)
        change.ops.push(del(tables.refKey(hash, process, nonce)))
      }
    }
    const unused = await mapLimited(
      [...candidates].filter(hash => !except.has(hash)),
      8,
      async hash => ((await this.#isNeeded(hash, { process, nonces })) ? undefined : hash),
    )
    const hashes = unused.filter(hash => hash !== undefined)
    const packed = await this.#store.getMany(hashes.map(hash => tables.pageKey(hash)))
    for (const [i, hash] of hashes.entries()) change.delPage(tables.pageKey(hash), packed[i])
  }

  async #isNeeded(hash: Id, but: { process: ProcessId; nonces: readonly Nonce[] }): Promise<boolean> {
    const refs = { ...tables.refsOf(hash), limit: but.nonces.length + 1 }
    for await (const [key] of this.#store.entries(refs)) {
      const { process, nonce } = tables.readRef(key)
      if (process !== but.process || !but.nonces.includes(nonce)) return true
    }
    return false
  }
}

/** The pages a manifest names; none if it is damaged: its refs are left to the sweep. */
function hashesOf(row: Uint8Array | undefined): readonly Id[] {
  try {
    return row === undefined ? [] : decodeManifest(row).pages.map(({ hash }) => hash)
  } catch {
    return []
  }
}

const none: CheckpointTotals = { processes: 0, checkpoints: 0, pages: 0, bytes: 0 }

/** The ops of one write, and what they do to the totals. */
class Change {
  readonly ops: WriteOp[] = []
  processes: number
  #checkpoints: number
  #pages: number
  #bytes: number

  constructor({ processes, checkpoints, pages, bytes }: CheckpointTotals) {
    this.processes = processes
    this.#checkpoints = checkpoints
    this.#pages = pages
    this.#bytes = bytes
  }

  putManifest(key: Uint8Array, value: Uint8Array): void {
    this.#checkpoints++
    this.#bytes += value.length
    this.ops.push(put(key, value))
  }

  delManifest(key: Uint8Array, value: Uint8Array): void {
    this.#checkpoints--
    this.#bytes -= value.length
    this.ops.push(del(key))
  }

  putPage(key: Uint8Array, packed: Uint8Array): void {
    this.#pages++
    this.#bytes += packed.length
    this.ops.push(put(key, packed))
  }

  /** Nothing if it is gone already. */
  delPage(key: Uint8Array, packed: Uint8Array | undefined): void {
    if (packed === undefined) return
    this.#pages--
    this.#bytes -= packed.length
    this.ops.push(del(key))
  }

  totals(): CheckpointTotals {
    // Never less than nothing, though damage may have taken what was counted.
    const atLeast0 = (count: number): number => Math.max(0, count)
    return {
      processes: atLeast0(this.processes),
      checkpoints: atLeast0(this.#checkpoints),
      pages: atLeast0(this.#pages),
      bytes: atLeast0(this.#bytes),
    }
  }
}

import { equalBytes } from '../lib/bytes.ts'
import { failpoint } from '../lib/failpoint.ts'
import type { CrankChange, CrankJob, CrankQueue, CrankRetention, CrankWriteOptions } from '../ports/crank-queue.ts'
import type { MessageId, ProcessId } from '../protocol/ids.ts'
import { decodeJob, encodeJob, isOpenJob } from './crank-job.ts'
import { KeyedLock } from './keyed-lock.ts'
import { fromU64, idPart, type KeyRange, KeySpace, u64 } from './keys.ts'
import { del, present, put, type Store, type WriteOp } from './store.ts'

/** (process, message) → the job as JSON. */
const jobs = new KeySpace('crank')
/** (process, message) → the message's signed bytes. */
const items = new KeySpace('crank-item')
/** (process, message, index) → a part as it was signed. */
const signed = new KeySpace('crank-signed')
/** (dueAt, process, message) of open jobs. */
const due = new KeySpace('crank-due')
/** (at, process, message) of ended jobs. */
const ended = new KeySpace('crank-ended')
/** (root, process, message). */
const roots = new KeySpace('crank-root')

interface Counts {
  readonly open: number
  readonly ended: number
}

/** The CrankQueue on disk. */
export class LevelCrankQueue implements CrankQueue {
  readonly #store: Store
  readonly #lock = new KeyedLock()
  /** Counted once, before the first write. */
  #counts: Promise<Counts> | undefined
  /** Whether any part is kept as it was signed: most networks have none, and nothing to look for when a job goes. */
  #hasSigned: Promise<boolean> | undefined

  constructor(store: Store) {
    this.#store = store
  }

  async write(change: CrankChange, options: CrankWriteOptions = {}): Promise<readonly CrankJob[]> {
    const touched = [...(change.add ?? []), ...(change.update ?? [])]
    if (touched.length === 0) return []
    await this.#counted()
    // A job's old row says which of its index keys to remove: nobody may change it between the reading and the writing.
    return this.#lock.run(touched.map(nameOf), () => this.#write(touched, change, options))
  }

  async get(process: ProcessId, message: MessageId): Promise<CrankJob | undefined> {
    const value = await this.#store.get(jobKey({ process, message }))
    return value === undefined ? undefined : decodeJob(value)
  }

  async item(process: ProcessId, message: MessageId): Promise<Uint8Array | undefined> {
    return this.#store.get(items.key(...nameParts({ process, message })))
  }

  async signedPart(process: ProcessId, message: MessageId, index: number): Promise<Uint8Array | undefined> {
    return this.#store.get(signedKey({ process, message }, index))
  }

  async keepSignedPart(process: ProcessId, message: MessageId, index: number, item: Uint8Array): Promise<void> {
    await this.#store.write([put(signedKey({ process, message }, index), item)], { sync: true })
    this.#hasSigned = Promise.resolve(true)
  }

  async ofProcess(process: ProcessId): Promise<readonly CrankJob[]> {
    const found: CrankJob[] = []
    for await (const [, value] of this.#store.entries(jobs.range(idPart(process)))) found.push(decodeJob(value))
    return found
  }

  async open(limit: number): Promise<readonly CrankJob[]> {
    const found = await this.#indexed({ ...due.range(), limit: Math.max(0, limit) }, key => due.part(key, 8, 64))
    return found.filter(isOpenJob)
  }

  ofRoot(root: MessageId): Promise<readonly CrankJob[]> {
    return this.#indexed(roots.range(idPart(root)), key => roots.part(key, 32, 64))
  }

  countOfRoot(root: MessageId, limit: number): Promise<number> {
    return this.#count({ ...roots.range(idPart(root)), limit })
  }

  async size(): Promise<number> {
    return (await this.#counted()).open
  }

  async ended(): Promise<number> {
    return (await this.#counted()).ended
  }

  async purge({ endedBefore, keepAtMost, limit }: CrankRetention): Promise<number> {
    const tooMany = (await this.ended()) - keepAtMost
    const names: Uint8Array[] = []
    for await (const [key] of this.#store.entries({ ...ended.range(), limit })) {
      if (names.length >= tooMany && fromU64(ended.part(key, 0, 8)) >= endedBefore) break
      names.push(ended.part(key, 8, 64))
    }
    const rows = await this.#store.getMany(names.map(name => jobs.key(name)))
    const found = rows.map(decodeMaybe).filter(job => job !== undefined)
    return this.#lock.run(found.map(nameOf), () => this.#forget(found))
  }

  /** Those to add come first in `touched`, and are left out if they exist. */
  async #write(
    touched: readonly CrankJob[],
    { add = [], sync = true }: CrankChange,
    { onAdding }: CrankWriteOptions,
  ): Promise<readonly CrankJob[]> {
    const toAdd = add.length
    const values = await this.#store.getMany(touched.map(jobKey))
    failpoint('queue-looked-up')
    const now = new Map(touched.map((job, i) => [nameOf(job), decodeMaybe(values[i])] as const))
    const ops: WriteOp[] = []
    const change = { open: 0, ended: 0 }
    const added: CrankJob[] = []
    for (const [i, job] of touched.entries()) {
      const before = now.get(nameOf(job))
      if (i < toAdd && before !== undefined) continue
      if (i < toAdd) added.push(job)
      if (i < toAdd && job.item !== undefined) ops.push(put(items.key(...nameParts(job)), job.item))
      if (before !== undefined) change[kindOf(before)]--
      ops.push(put(jobKey(job), encodeJob(job)), ...reindexed(before, job))
      change[kindOf(job)]++
      now.set(nameOf(job), job)
    }
    onAdding?.(added)
    await this.#apply(ops, change, { sync })
    return added
  }

  /** Only those that did not come to life again since they were read. */
  async #forget(found: readonly CrankJob[]): Promise<number> {
    const values = await this.#store.getMany(found.map(jobKey))
    const gone = values.map(decodeMaybe).filter(job => job !== undefined && !isOpenJob(job)) as CrankJob[]
    const parts = await this.#signedPartsOf(gone)
    await this.#apply(
      [
        ...gone.flatMap(job => [...withoutIndex(job), del(jobKey(job)), del(items.key(...nameParts(job)))]),
        ...parts.map(del),
      ],
      { open: 0, ended: -gone.length },
      { sync: false }, // what comes back is forgotten again
    )
    return gone.length
  }

  async #signedPartsOf(gone: readonly CrankJob[]): Promise<readonly Uint8Array[]> {
    this.#hasSigned ??= this.#count({ ...signed.range(), limit: 1 }).then(count => count > 0)
    if (!(await this.#hasSigned)) return []
    const keys: Uint8Array[] = []
    for (const job of gone) {
      for await (const [key] of this.#store.entries(signed.range(...nameParts(job)))) keys.push(key)
    }
    return keys
  }

  async #apply(ops: readonly WriteOp[], change: Counts, { sync }: { readonly sync: boolean }): Promise<void> {
    if (ops.length === 0) return
    await this.#store.write(ops, { sync })
    failpoint('queue-written')
    this.#counts = this.#counted().then(({ open, ended }) => ({
      open: open + change.open,
      ended: ended + change.ended,
    }))
  }

  #counted(): Promise<Counts> {
    this.#counts ??= Promise.all([this.#count(due.range()), this.#count(ended.range())]).then(([open, ended]) => ({
      open,
      ended,
    }))
    return this.#counts
  }

  async #count(range: KeyRange): Promise<number> {
    let count = 0
    for await (const _ of this.#store.entries(range)) count++
    return count
  }

  async #indexed(range: KeyRange, name: (key: Uint8Array) => Uint8Array): Promise<readonly CrankJob[]> {
    return (await this.#store.lookUp(range, key => jobs.key(name(key)))).map(decodeJob)
  }
}

type JobName = Pick<CrankJob, 'process' | 'message'>
const kindOf = (job: CrankJob): keyof Counts => (isOpenJob(job) ? 'open' : 'ended')
const nameOf = ({ process, message }: JobName): string => `${process} ${message}`
const nameParts = ({ process, message }: JobName): readonly Uint8Array[] => [idPart(process), idPart(message)]
const jobKey = (job: JobName): Uint8Array => jobs.key(...nameParts(job))
const signedKey = (job: JobName, index: number): Uint8Array => signed.key(...nameParts(job), u64(index))
const rootKey = (job: CrankJob): Uint8Array => roots.key(idPart(job.root), ...nameParts(job))
const indexKey = (job: CrankJob): Uint8Array =>
  isOpenJob(job) ? due.key(timePart(job.dueAt), ...nameParts(job)) : ended.key(timePart(job.at), ...nameParts(job))
/** Only what changes: a job keeps its root, and mostly its place while it is open. */
const reindexed = (before: CrankJob | undefined, job: CrankJob): readonly WriteOp[] =>
  [rootKey, indexKey].flatMap(keyOf => {
    const old = before === undefined ? undefined : keyOf(before)
    const key = keyOf(job)
    if (old === undefined) return [put(key, present)]
    return equalBytes(old, key) ? [] : [del(old), put(key, present)]
  })
const withoutIndex = (job: CrankJob): readonly WriteOp[] => [del(indexKey(job)), del(rootKey(job))]
const timePart = (ms: number): Uint8Array => u64(Math.max(0, Math.ceil(ms)))
const decodeMaybe = (value: Uint8Array | undefined): CrankJob | undefined =>
  value === undefined ? undefined : decodeJob(value)

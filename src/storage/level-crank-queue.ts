import type { CrankJob, CrankQueue } from '../ports/crank-queue.ts'
import type { MessageId, ProcessId } from '../protocol/ids.ts'
import { decodeJob, encodeJob, isOpenJob } from './crank-job.ts'
import { KeyedLock } from './keyed-lock.ts'
import { idPart, type KeyRange, KeySpace, u64 } from './keys.ts'
import { del, present, put, type Store, type WriteOp } from './store.ts'

/** (process, message) → the job as JSON. */
const jobs = new KeySpace('crank')
/** (dueAt, process, message) of open jobs. */
const due = new KeySpace('crank-due')
/** (root, process, message). */
const roots = new KeySpace('crank-root')

/** The CrankQueue on disk. */
export class LevelCrankQueue implements CrankQueue {
  readonly #store: Store
  readonly #lock = new KeyedLock()
  /** How many are open; counted once, before the first write. */
  #open: Promise<number> | undefined

  constructor(store: Store) {
    this.#store = store
  }

  async write(change: { readonly add?: readonly CrankJob[]; readonly update?: readonly CrankJob[] }): Promise<void> {
    const touched = [...(change.add ?? []), ...(change.update ?? [])]
    if (touched.length === 0) return
    await this.size()
    // A job's old row says which of its index keys to remove: nobody may change it between the reading and the writing.
    await this.#lock.run(touched.map(nameOf), () => this.#write(touched, change.add?.length ?? 0))
  }

  async get(process: ProcessId, message: MessageId): Promise<CrankJob | undefined> {
    const value = await this.#store.get(jobKey({ process, message }))
    return value === undefined ? undefined : decodeJob(value)
  }

  async open(limit: number): Promise<readonly CrankJob[]> {
    const found = await this.#indexed({ ...due.range(), limit: Math.max(0, limit) }, key => due.part(key, 8, 64))
    return found.filter(isOpenJob)
  }

  ofRoot(root: MessageId): Promise<readonly CrankJob[]> {
    return this.#indexed(roots.range(idPart(root)), key => roots.part(key, 32, 64))
  }

  async size(): Promise<number> {
    this.#open ??= this.#count()
    return this.#open
  }

  async #write(touched: readonly CrankJob[], added: number): Promise<void> {
    const values = await this.#store.getMany(touched.map(jobKey))
    const now = new Map(touched.map((job, i) => [nameOf(job), decodeMaybe(values[i])] as const))
    const ops: WriteOp[] = []
    let opened = 0
    for (const [i, job] of touched.entries()) {
      const before = now.get(nameOf(job))
      if (i < added && before !== undefined) continue
      ops.push(...opsFor(before, job))
      opened += Number(isOpenJob(job)) - Number(before !== undefined && isOpenJob(before))
      now.set(nameOf(job), job)
    }
    if (ops.length === 0) return
    await this.#store.write(ops)
    this.#open = this.size().then(open => open + opened)
  }

  async #count(): Promise<number> {
    let count = 0
    for await (const _ of this.#store.entries(due.range())) count++
    return count
  }

  async #indexed(range: KeyRange, name: (key: Uint8Array) => Uint8Array): Promise<readonly CrankJob[]> {
    const keys: Uint8Array[] = []
    for await (const [key] of this.#store.entries(range)) keys.push(jobs.key(name(key)))
    const values = await this.#store.getMany(keys)
    return values.map(decodeMaybe).filter(job => job !== undefined)
  }
}

function opsFor(before: CrankJob | undefined, job: CrankJob): readonly WriteOp[] {
  const ops: WriteOp[] = []
  if (before !== undefined) ops.push(del(dueKey(before)), del(rootKey(before)))
  ops.push(put(jobKey(job), encodeJob(job)), put(rootKey(job), present))
  if (isOpenJob(job)) ops.push(put(dueKey(job), present))
  return ops
}

type JobName = Pick<CrankJob, 'process' | 'message'>
const nameOf = ({ process, message }: JobName): string => `${process} ${message}`
const nameParts = ({ process, message }: JobName): readonly Uint8Array[] => [idPart(process), idPart(message)]
const jobKey = (job: JobName): Uint8Array => jobs.key(...nameParts(job))
const dueKey = (job: CrankJob): Uint8Array => due.key(u64(Math.max(0, Math.ceil(job.dueAt))), ...nameParts(job))
const rootKey = (job: CrankJob): Uint8Array => roots.key(idPart(job.root), ...nameParts(job))
const decodeMaybe = (value: Uint8Array | undefined): CrankJob | undefined =>
  value === undefined ? undefined : decodeJob(value)

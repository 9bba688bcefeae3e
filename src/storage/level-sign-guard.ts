import { toUtf8, utf8 } from '../lib/bytes.ts'
import type { SignFloor, SignGuard, SignPromise } from '../ports/sign-guard.ts'
import type { AssignmentPlan } from '../protocol/assignment.ts'
import { parseStoredItem } from '../protocol/data-item.ts'
import type { ProcessId } from '../protocol/ids.ts'
import type { Origin } from '../protocol/origin.ts'
import { decoding } from './decoding.ts'
import { idPart, KeySpace, u64 } from './keys.ts'
import { joinParts, splitParts } from './parts.ts'
import { SignPromises } from './sign-promises.ts'
import { del, put, type Store } from './store.ts'

/** (process, epoch, nonce) → plan and origin as JSON, message bytes. */
const promises = new KeySpace('sign-guard')
/** process → floor as JSON. */
const floors = new KeySpace('sign-floor')

/**
 * The SignGuard on disk, in the same Store as the log that it guards.
 *
 * Invariant: a promise is deleted by a write that comes after its row in the log, and one Store keeps writes in order:
 * so whatever a power cut leaves has the promise or the row.
 */
export class LevelSignGuard implements SignGuard {
  readonly #store: Store
  #loading: Promise<SignPromises> | undefined
  #known: SignPromises | undefined
  /** Keys to delete with the next write. */
  #released: Uint8Array[] = []

  constructor(store: Store) {
    this.#store = store
  }

  async promise(batch: readonly SignPromise[]): Promise<void> {
    const known = await this.#load()
    known.take(batch)
    const dels = this.#released.map(del)
    await this.#store.write([...dels, ...batch.map(promise => put(keyOf(promise), encode(promise)))])
    this.#released = this.#released.slice(dels.length)
  }

  release(batch: readonly SignPromise[]): void {
    this.#known?.release(batch)
    for (const promise of batch) this.#released.push(keyOf(promise))
  }

  async open(): Promise<readonly SignPromise[]> {
    return (await this.#load()).open()
  }

  async floor(process: ProcessId): Promise<SignFloor | undefined> {
    return (await this.#load()).floor(process)
  }

  async floors(): Promise<readonly SignFloor[]> {
    return (await this.#load()).floors()
  }

  async raise(wanted: readonly SignFloor[]): Promise<void> {
    const known = await this.#load()
    const higher = known.higher(wanted)
    await this.#store.write(higher.map(floor => put(floors.key(idPart(floor.process)), utf8(JSON.stringify(floor)))))
    known.raise(higher)
  }

  async #load(): Promise<SignPromises> {
    if (this.#known !== undefined) return this.#known
    this.#loading ??= this.#read()
    try {
      this.#known = await this.#loading
      return this.#known
    } finally {
      this.#loading = undefined
    }
  }

  async #read(): Promise<SignPromises> {
    const known = new SignPromises()
    for await (const [, value] of this.#store.entries(promises.range())) known.take([decode(value)])
    for await (const [, value] of this.#store.entries(floors.range())) {
      known.raise([decoding('sign-floor', () => JSON.parse(toUtf8(value)) as SignFloor)])
    }
    return known
  }
}

const keyOf = ({ plan: { process, epoch, nonce } }: SignPromise): Uint8Array =>
  promises.key(idPart(process), u64(epoch), u64(nonce))

const encode = ({ plan, origin, message }: SignPromise): Uint8Array =>
  joinParts(utf8(JSON.stringify({ plan, origin })), message.raw)

const decode = (value: Uint8Array): SignPromise =>
  decoding('sign-guard', () => {
    const [header, item] = splitParts(value, 2)
    const { plan, origin } = JSON.parse(toUtf8(header)) as { plan: AssignmentPlan; origin?: Origin }
    return { plan, origin, message: parseStoredItem(item) }
  })

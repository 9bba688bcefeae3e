import { toUtf8, utf8 } from '../lib/bytes.ts'
import type { SignFloor, SignGuard, SignPromise } from '../ports/sign-guard.ts'
import type { AssignmentPlan } from '../protocol/assignment.ts'
import { parseStoredItem } from '../protocol/data-item.ts'
import type { ProcessId } from '../protocol/ids.ts'
import type { Origin } from '../protocol/origin.ts'
import { decoding } from './decoding.ts'
import { fromU64, idPart, KeySpace, u64 } from './keys.ts'
import { joinParts, splitParts } from './parts.ts'
import { SignPromises } from './sign-promises.ts'
import { del, put, type Store } from './store.ts'

/** running number → promises of one write: for each its plan and origin as JSON and the message's bytes. */
const promises = new KeySpace('sign-guard')
/** process → floor as JSON. */
const floors = new KeySpace('sign-floor')

/** One write on disk, and what it promised. */
interface Written {
  readonly key: Uint8Array
  readonly batch: readonly SignPromise[]
}

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
  #written: readonly Written[] = []
  #lastNumber = 0

  constructor(store: Store) {
    this.#store = store
  }

  async promise(batch: readonly SignPromise[]): Promise<void> {
    const known = await this.#load()
    known.take(batch)
    const key = promises.key(u64(++this.#lastNumber))
    const spent = this.#written.filter(written => !known.hasOpen(written.batch))
    this.#written = [...this.#written, { key, batch }] // also if the write fails: it may be there all the same
    await this.#store.write([...spent.map(written => del(written.key)), put(key, encode(batch))])
    this.#written = this.#written.filter(written => !spent.includes(written))
  }

  release(batch: readonly SignPromise[]): void {
    this.#known?.release(batch)
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
    const written: Written[] = []
    for await (const [key, value] of this.#store.entries(promises.range())) {
      const batch = decode(value)
      known.take(batch)
      written.push({ key, batch })
      this.#lastNumber = fromU64(promises.part(key, 0, 8))
    }
    this.#written = written
    for await (const [, value] of this.#store.entries(floors.range())) {
      known.raise([decoding('sign-floor', () => JSON.parse(toUtf8(value)) as SignFloor)])
    }
    return known
  }
}

function encode(batch: readonly SignPromise[]): Uint8Array {
  const parts = batch.flatMap(({ plan, origin, message }) => [
    utf8(JSON.stringify({ plan, origin })),
    message?.raw ?? empty,
  ])
  return joinParts(...parts, empty)
}

const empty = new Uint8Array(0)

const decode = (value: Uint8Array): readonly SignPromise[] =>
  decoding('sign-guard', () => {
    const batch: SignPromise[] = []
    for (let rest = value; rest.length > 0; ) {
      const [header, item, after] = splitParts(rest, 3)
      const { plan, origin } = JSON.parse(toUtf8(header)) as { plan: AssignmentPlan; origin?: Origin }
      batch.push({ plan, origin, message: item.length === 0 ? undefined : parseStoredItem(item) })
      rest = after
    }
    return batch
  })

import { AoError } from '../../src/lib/errors.ts'
import type { KeyRange } from '../../src/storage/keys.ts'
import type { Store, WriteOp } from '../../src/storage/store.ts'

/** How one write can end. `kept` is reported as refused and is there after the next start all the same. */
export const writeEnds = ['done', 'lost', 'kept', 'killed before', 'killed after', 'power cut'] as const
export type WriteEnd = (typeof writeEnds)[number]

/** Chooses one of `of` ways at each fork; every run of a search takes another path, until all were taken. */
export class Path {
  readonly #prefix: readonly number[]
  readonly #taken: { readonly choice: number; readonly of: number }[] = []

  constructor(prefix: readonly number[] = []) {
    this.#prefix = prefix
  }

  choose(of: number): number {
    const choice = this.#prefix[this.#taken.length] ?? 0
    this.#taken.push({ choice, of })
    return choice
  }

  /** The path after this one, depth first; undefined after the last. */
  next(): Path | undefined {
    const taken = [...this.#taken]
    for (let last = taken.pop(); last !== undefined; last = taken.pop()) {
      if (last.choice + 1 < last.of) return new Path([...taken.map(({ choice }) => choice), last.choice + 1])
    }
    return undefined
  }

  toString(): string {
    return this.#taken.map(({ choice }) => choice).join(' ')
  }
}

interface Written {
  readonly ops: readonly WriteOp[]
  readonly sync: boolean
  /** False: it was refused, and only the next start shows it. */
  readonly seen: boolean
}

/** A disk that outlives programs, and whose writes end as a Path says. Like LevelDB: in order, whole, and deaf after a refusal. */
export class ModelDisk {
  /** Called with each write once any reader could see it. */
  onSeen: (ops: readonly WriteOp[]) => void = () => undefined
  readonly #end: () => WriteEnd
  #history: Written[] = []

  constructor(end: () => WriteEnd) {
    this.#end = end
  }

  /** A program starts on what is there. */
  open(): ModelStore {
    this.#history = this.#history.map(written => ({ ...written, seen: true }))
    const map = new Map<string, Buffer>()
    for (const { ops } of this.#history) apply(map, ops)
    return new ModelStore(map, (ops, sync) => this.#write(ops, sync))
  }

  #write(ops: readonly WriteOp[], sync: boolean): WriteEnd {
    const end = this.#end()
    if (end === 'power cut') {
      const synced = this.#history.findLastIndex(written => written.sync)
      this.#history = this.#history.slice(0, synced + 1)
    }
    if (end === 'done' || end === 'kept' || end === 'killed after') {
      this.#history.push({ ops, sync, seen: end === 'done' })
    }
    if (end === 'done') this.onSeen(ops)
    return end
  }
}

/** The disk as one program has it. When it is killed, nothing it waits for ever comes. */
export class ModelStore implements Store {
  readonly dir = 'model'
  readonly #map: Map<string, Buffer>
  readonly #write: (ops: readonly WriteOp[], sync: boolean) => WriteEnd
  #deaf = false
  #die: () => void = () => undefined
  readonly died = new Promise<'died'>(resolve => {
    this.#die = () => resolve('died')
  })
  #dead = false

  constructor(map: Map<string, Buffer>, write: (ops: readonly WriteOp[], sync: boolean) => WriteEnd) {
    this.#map = map
    this.#write = write
  }

  /** Whether a write could still succeed. */
  get usable(): boolean {
    return !this.#dead && !this.#deaf
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return (await this.getMany([key]))[0]
  }

  async getMany(keys: readonly Uint8Array[]): Promise<readonly (Uint8Array | undefined)[]> {
    if (this.#dead) await never
    return keys.map(key => this.#map.get(hex(key)))
  }

  async *entries({ gte, lt, reverse, limit }: KeyRange): AsyncIterable<readonly [Uint8Array, Uint8Array]> {
    const inside = [...this.#map].filter(([key]) => key >= hex(gte) && key < hex(lt))
    inside.sort(([a], [b]) => (a < b ? -1 : 1))
    if (reverse === true) inside.reverse()
    for (const [key, value] of inside.slice(0, limit)) yield [Buffer.from(key, 'hex'), value]
  }

  async lookUp(index: KeyRange, rowKey: (indexKey: Uint8Array) => Uint8Array): Promise<readonly Uint8Array[]> {
    const rows: Uint8Array[] = []
    for await (const [key] of this.entries(index)) {
      const row = this.#map.get(hex(rowKey(key)))
      if (row !== undefined) rows.push(row)
    }
    return rows
  }

  async write(ops: readonly WriteOp[], { sync = true }: { readonly sync?: boolean } = {}): Promise<void> {
    if (this.#dead) await never
    if (this.#deaf) throw refused()
    const end = this.#write(ops, sync)
    if (end === 'done') return apply(this.#map, ops)
    if (end === 'lost' || end === 'kept') {
      this.#deaf = end === 'kept' // what may surface later is followed by nothing until the next start
      throw refused()
    }
    this.#dead = true
    this.#die()
    await never
  }

  async close(): Promise<void> {}
}

const never = new Promise<never>(() => undefined)
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const refused = (): AoError => new AoError('LOG_WRITE_FAILED', 'the disk refused to write')

function apply(map: Map<string, Buffer>, ops: readonly WriteOp[]): void {
  for (const op of ops) {
    if (op.type === 'put') map.set(hex(op.key), Buffer.from(op.value))
    else map.delete(hex(op.key))
  }
}

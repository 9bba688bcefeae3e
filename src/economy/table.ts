import { sha256, toHex, utf8 } from '../lib/bytes.ts'
import { encodeRow } from './row-text.ts'

/**
 * Undo steps of the event that is being applied. A refused event is taken back row by row, so it leaves no trace,
 * wherever in the work it was refused.
 */
export class Journal {
  readonly #undo: (() => void)[] = []
  #depth = 0

  /** Outside of `transact` nothing is kept: then there is nothing to go back to. */
  note(undo: () => void): void {
    if (this.#depth > 0) this.#undo.push(undo)
  }

  /** Runs `work` as a whole or not at all. Inside another one, only its own part is taken back. */
  transact<T>(work: () => T): T {
    const from = this.#undo.length
    this.#depth++
    try {
      return work()
    } catch (error) {
      while (this.#undo.length > from) this.#undo.pop()?.()
      throw error
    } finally {
      this.#depth--
      if (this.#depth === 0) this.#undo.length = 0
    }
  }
}

/** Rows are hashed in this many groups, so that a change costs the hash of its group and not of the table. */
const groupCount = 4096

/**
 * One kind of row of the state, by key. Rows are immutable values: a change is a new row.
 *
 * Invariant: the hash depends on the rows alone, not on the order in which they came.
 */
export class Table<V> {
  readonly name: string
  readonly #journal: Journal
  readonly #rows = new Map<string, V>()
  #groups: (Set<string> | undefined)[] | undefined
  #digests: string[] = []
  readonly #stale = new Set<number>()
  /** Of the rows as they are; undefined once one has changed. */
  #hash: string | undefined

  constructor(name: string, journal: Journal) {
    this.name = name
    this.#journal = journal
  }

  get size(): number {
    return this.#rows.size
  }

  get(key: string): V | undefined {
    return this.#rows.get(key)
  }

  has(key: string): boolean {
    return this.#rows.has(key)
  }

  /** In no order that anything may depend on. */
  entries(): IterableIterator<[string, V]> {
    return this.#rows.entries()
  }

  keysInOrder(): readonly string[] {
    return [...this.#rows.keys()].sort()
  }

  set(key: string, row: V): void {
    const before = this.#rows.get(key)
    this.#journal.note(() => (before === undefined ? this.#drop(key) : this.#put(key, before)))
    this.#put(key, row)
  }

  delete(key: string): void {
    const before = this.#rows.get(key)
    if (before === undefined) return
    this.#journal.note(() => this.#put(key, before))
    this.#drop(key)
  }

  /** SHA-256, as hexadecimal digits. The first call hashes everything, later ones what changed since. */
  hash(): string {
    this.#hash ??= toHex(
      sha256(utf8(`${this.name}\0${this.#rows.size}\0${this.#rows.size === 0 ? '' : this.#digest()}`)),
    )
    return this.#hash
  }

  #digest(): string {
    this.#index()
    for (const group of this.#stale) this.#digests[group] = this.#digestOf(group)
    this.#stale.clear()
    return this.#digests.join('')
  }

  #digestOf(group: number): string {
    const keys = this.#groups?.[group]
    if (keys === undefined || keys.size === 0) return ''
    const rows = [...keys].sort().map(key => `${JSON.stringify(key)}:${encodeRow(this.#rows.get(key))}`)
    return toHex(sha256(utf8(rows.join('\n'))))
  }

  /** Groups are made only where somebody asks for a hash. */
  #index(): void {
    if (this.#groups !== undefined) return
    this.#groups = []
    this.#digests = new Array<string>(groupCount).fill('')
    for (const key of this.#rows.keys()) this.#mark(key)
  }

  #put(key: string, row: V): void {
    this.#hash = undefined
    this.#rows.set(key, row)
    if (this.#groups !== undefined) this.#mark(key)
  }

  #drop(key: string): void {
    this.#hash = undefined
    this.#rows.delete(key)
    if (this.#groups === undefined) return
    const group = groupOf(key)
    this.#groups[group]?.delete(key)
    this.#stale.add(group)
  }

  #mark(key: string): void {
    const group = groupOf(key)
    const keys = this.#groups?.[group] ?? new Set<string>()
    keys.add(key)
    if (this.#groups !== undefined) this.#groups[group] = keys
    this.#stale.add(group)
  }
}

/** A table of one row, which is always there. */
export class Cell<V> {
  readonly table: Table<V>

  constructor(name: string, initial: V, journal: Journal) {
    this.table = new Table<V>(name, journal)
    this.table.set('', initial)
  }

  get value(): V {
    return this.table.get('') as V
  }

  set value(value: V) {
    this.table.set('', value)
  }
}

/** FNV-1a over UTF-16 units, folded to a group. Where keys crowd one group, only the hash is slower. */
function groupOf(key: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193)
  return (hash ^ (hash >>> 12) ^ (hash >>> 24)) & (groupCount - 1)
}

import type { ForkRow, LogHead } from '../../economy/rows.ts'
import type { ScheduledMessage } from '../../protocol/assignment.ts'
import { checkFollows } from '../../protocol/assignment.ts'
import type { ProcessId } from '../../protocol/ids.ts'

/** A row that somebody showed. */
export interface FoundRow extends ScheduledMessage {
  /** It is on Arweave for good. */
  readonly settled: boolean
}
interface Node {
  readonly row: FoundRow
  readonly parent: Node | undefined
}

/**
 * Rows of one Process from several sources, as the tree that an SU makes of its log by signing twice.
 *
 * Invariant: rows were checked by whoever added them (signatures, Process, message to Assignment), not whether they follow.
 */
export class LogTree {
  readonly #process: ProcessId
  readonly #found = new Map<number, Map<string, FoundRow>>()
  #size = 0
  #bytes = 0

  constructor(process: ProcessId) {
    this.#process = process
  }

  get size(): number {
    return this.#size
  }

  /** Of all rows. */
  get bytes(): number {
    return this.#bytes
  }

  add(row: FoundRow): void {
    const { nonce, id } = row.assignment
    const there = this.#found.get(nonce) ?? new Map<string, FoundRow>()
    const known = there.get(id)
    const message = known?.message ?? row.message
    if (known === undefined) {
      this.#size++
      this.#bytes += row.assignment.raw.length
    }
    if (known?.message === undefined) this.#bytes += message?.raw.length ?? 0
    there.set(id, { assignment: row.assignment, message, settled: row.settled || known?.settled === true })
    this.#found.set(nonce, there)
  }

  /** The row that is the end of a log, and all before it; undefined unless all of them are here. */
  upTo({ nonce, assignment }: LogHead): readonly FoundRow[] | undefined {
    const node = this.#grow()
      .filter(level => level.length > 0)
      [nonce]?.find(({ row }) => row.assignment.id === assignment)
    return node === undefined ? undefined : rowsTo(node)
  }

  /** The longest log from nonce 0, through the fork if it comes that far and any goes through it; else up to before it. */
  longest(fork?: ForkRow): readonly FoundRow[] {
    const levels = this.#grow()
    for (let at = levels.length - 1; at >= 0; at--) {
      for (const node of levels[at] ?? []) {
        const rows = rowsTo(node)
        const there = fork === undefined ? undefined : rows[fork.nonce]
        if (there === undefined || there.assignment.id === fork?.assignment) return rows
      }
    }
    return []
  }

  /** Rows that are not among these. */
  others(rows: readonly FoundRow[]): readonly FoundRow[] {
    const taken = new Set(rows.map(({ assignment }) => assignment.id))
    const all = [...this.#found.values()].flatMap(there => [...there.values()])
    return all
      .filter(({ assignment }) => !taken.has(assignment.id))
      .sort((a, b) => a.assignment.nonce - b.assignment.nonce)
  }

  /** By nonce: the rows that follow one of the nonce before. */
  #grow(): readonly (readonly Node[])[] {
    const levels: (readonly Node[])[] = []
    let parents: readonly (Node | undefined)[] = [undefined]
    for (let nonce = 0; parents.length > 0; nonce++) {
      const level = [...(this.#found.get(nonce)?.values() ?? [])].flatMap((row): readonly Node[] => {
        const parent = parents.find(one => this.#follows(one?.row, row))
        return parent === undefined && nonce > 0
          ? []
          : nonce === 0 && !this.#follows(undefined, row)
            ? []
            : [{ row, parent }]
      })
      if (level.length === 0) break
      levels.push(level)
      parents = level
    }
    return levels
  }

  #follows(previous: FoundRow | undefined, next: FoundRow): boolean {
    try {
      checkFollows(this.#process, previous?.assignment, next.assignment)
      return true
    } catch {
      return false
    }
  }
}

function rowsTo(node: Node): readonly FoundRow[] {
  const rows: FoundRow[] = []
  for (let one: Node | undefined = node; one !== undefined; one = one.parent) rows.push(one.row)
  return rows.reverse()
}

import { sha256, toHex, utf8 } from '../lib/bytes.ts'
import { checkEconomyParams, type EconomyParams } from '../protocol/economy-params.ts'
import type { ClassRow, HolderRow, ResourceRow } from './distribution.ts'
import { emissionStart } from './emission.ts'
import type { Quantity } from './quantity.ts'
import { decodeRow, encodeRow } from './row-text.ts'
import type * as rows from './rows.ts'
import { Cell, Journal, Table } from './table.ts'

/**
 * Everything the economy knows. Rows are immutable; tables change in place and only through `applyEvent`, so an event
 * happens as a whole or leaves no trace.
 *
 * Invariant: equal parameters and equal events in equal order give equal rows and an equal hash, on every machine.
 */
export type EconomyState = ReturnType<typeof emptyState>

/** @throws AoError `INVALID_CONFIG` if the parameters do not fit together. */
export function emptyState(params: EconomyParams) {
  const journal = new Journal()
  const table = <V>(name: string): Table<V> => new Table<V>(name, journal)
  return {
    params: checkEconomyParams(params),
    journal,
    clock: new Cell<rows.ClockRow>('clock', { height: 0, timestamp: 0 }, journal),
    emission: new Cell('emission', emissionStart, journal),
    funds: new Cell<rows.FundsRow>('funds', { escrow: 0n, insurance: 0n, burned: 0n, slashed: 0n }, journal),
    /** Number of the next agenda entry. */
    counter: new Cell('counter', 0, journal),
    /** No agenda entry is due before this height. */
    nextDue: new Cell('next-due', Number.MAX_SAFE_INTEGER, journal),
    /** Bonded per role, for the correlated penalty: by period, oldest first. */
    totals: table<readonly rows.PeriodValue[]>('totals'),
    balances: table<Quantity>('balances'),
    classes: table<ClassRow>('classes'),
    resources: table<ResourceRow>('resources'),
    holders: table<HolderRow>('holders'),
    grants: table<readonly rows.YieldGrant[]>('grants'),
    operators: table<rows.OperatorRow>('operators'),
    holds: table<rows.HoldRow>('holds'),
    pools: table<rows.PoolRow>('pools'),
    stakes: table<rows.StakeRow>('stakes'),
    buckets: table<rows.BucketRow>('buckets'),
    unbondings: table<readonly rows.UnbondingEntry[]>('unbondings'),
    offences: table<rows.OffenceRow>('offences'),
    verdicts: table<rows.VerdictRow>('verdicts'),
    agenda: table<rows.AgendaRow>('agenda'),
    commits: table<rows.CommitRow>('commits'),
    challenges: table<rows.ChallengeRow>('challenges'),
    openChallenges: table<number>('open-challenges'),
    hosts: table<rows.HostRow>('hosts'),
    /** By Process, SU and epoch: the first evidence decides. */
    forks: table<rows.ForkRow>('forks'),
    votes: table<rows.ReportVotes>('votes'),
    heldReports: table<rows.HeldReport>('held-reports'),
    headers: table<rows.HeaderRow>('headers'),
  }
}

/** SHA-256 over all rows, as hexadecimal digits. */
export const stateHash = (state: EconomyState): string =>
  toHex(
    sha256(
      utf8(
        tablesOf(state)
          .map(({ name, hash }) => `${name}:${hash()}`)
          .join('\n'),
      ),
    ),
  )

/** One line per row: table, key, row. What `restoreState` takes; in an order that depends on the rows alone. */
export function* snapshotState(state: EconomyState): Generator<string> {
  for (const { table } of tablesOf(state)) {
    for (const key of table.keysInOrder()) yield JSON.stringify([table.name, key, encodeRow(table.get(key))])
  }
}

/** The state that `snapshotState` told of. */
export function restoreState(params: EconomyParams, lines: Iterable<string>): EconomyState {
  const state = emptyState(params)
  const tables = new Map(tablesOf(state).map(({ name, table }) => [name, table]))
  for (const line of lines) {
    const [name, key, row] = JSON.parse(line) as [string, string, string]
    tables.get(name)?.set(key, decodeRow(row))
  }
  return state
}

interface NamedTable {
  readonly name: string
  readonly table: Table<unknown>
  hash(): string
}

/** In the order of their names. */
function tablesOf(state: EconomyState): readonly NamedTable[] {
  const tables = Object.values(state).flatMap(value => {
    if (value instanceof Cell) return [value.table as Table<unknown>]
    return value instanceof Table ? [value as Table<unknown>] : []
  })
  return tables
    .map(table => ({ name: table.name, table, hash: () => table.hash() }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** The period of a height: the unit in which stakes are remembered and begin to count. */
export const periodOf = ({ params }: EconomyState, height: number): number => Math.floor(height / params.periodBlocks)

export const periodNow = (state: EconomyState): number => periodOf(state, state.clock.value.height)

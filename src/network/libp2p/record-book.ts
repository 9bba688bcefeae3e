import { type AbortOptions, raceSignal, throwIfAborted } from '../../lib/abort.ts'
import { sha256, toHex, utf8 } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import { AoError } from '../../lib/errors.ts'
import type { Address } from '../../protocol/ids.ts'
import type { UnitRecord, UnitRole } from '../../protocol/unit-record.ts'
import { RecordVerifier } from './record-verifier.ts'

export interface RecordBookOptions {
  /** `paramsHash`: records of other networks are refused. */
  readonly network: string
  /** Makes equals rank in another order on each node, so that not all of them call the same unit. */
  readonly seed: string
  readonly maxRecords?: number
  /** This node's own unit: its record never makes room. */
  readonly self?: Address
  /** Round trip to a peer in milliseconds, as far as it is known. */
  readonly latencyOf?: (peer: string) => number | undefined
}

/**
 * `new`: a unit not known before. `renewed`: a later record of a known one. `same`: the very bytes that are held.
 * `old`, `expired`, `early` (issued in the future): not taken, and nobody's fault, for clocks differ.
 */
export type RecordOutcome = 'new' | 'renewed' | 'same' | 'old' | 'expired' | 'early'

/** Milliseconds that a unit's clock may be ahead of ours. */
const maxSkewMs = 60_000
/** A unit that failed is called last for 5 s, then 10 s, … up to a minute. */
const firstCoolDownMs = 5_000
const maxCoolDownMs = 60_000
/** Failures are forgotten this long after the last, in milliseconds. */
const failureMemoryMs = 5 * 60_000
const maxWaiting = 1024
const unknownLatencyMs = 50

export interface CallRecord {
  readonly failedCalls: number
  /** `CODE: what happened (what lies under it)`. */
  readonly lastFailure: string | null
}

interface Entry {
  record: UnitRecord
  /** What this node has seen of it. */
  failures: number
  failedAt: number
  failure?: string | undefined
  /** When a call to it last worked. */
  workedAt: number
  /** When its connection broke, if nothing that is later was heard of it. */
  lostAt: number | undefined
  readonly order: string
}

/**
 * Unit records this node believes, ranked by what it has seen of the units.
 *
 * Invariant: each record held was verified, is the latest of its unit, and is shown only until it expires.
 * A failing unit sinks; it never vanishes before its record expires.
 */
export class RecordBook {
  readonly #clock: Clock
  readonly #options: RecordBookOptions
  readonly #maxRecords: number
  readonly #entries = new Map<Address, Entry>()
  readonly #listeners = new Set<(record: UnitRecord, outcome: 'new' | 'renewed') => void>()
  /** Whose certificate it is, by its hash. */
  readonly #certificates = new Map<string, Address>()
  readonly #verifier: RecordVerifier
  /** Who is waited for, by how many. */
  readonly #wanted = new Map<Address, number>()
  #waiting = 0

  constructor(clock: Clock, options: RecordBookOptions) {
    this.#clock = clock
    this.#options = options
    this.#maxRecords = options.maxRecords ?? 4096
    this.#verifier = new RecordVerifier(options.network)
  }

  /**
   * Verifies a record and takes it if it is news.
   *
   * @throws AoError `TOO_LARGE` | `INVALID_DATA_ITEM` | `INVALID_RECORD` | `WRONG_NETWORK`, `OVERLOADED` when full.
   */
  async judge(bytes: Uint8Array): Promise<{ readonly outcome: RecordOutcome; readonly record: UnitRecord }> {
    const record = await this.#verifier.verify(bytes)
    const outcome = this.#compare(record)
    if (outcome === 'new') this.#makeRoom(record.address)
    if (outcome === 'new' || outcome === 'renewed') this.#take(record, outcome)
    return { outcome, record }
  }

  /**
   * Living units of a role, best first: neither lost nor cooling down, then fewest failures, then near and idle ones,
   * then any fixed order.
   */
  find(role: UnitRole): readonly UnitRecord[] {
    return this.all().filter(record => record.roles.includes(role))
  }

  /** All living records, best first. */
  all(): readonly UnitRecord[] {
    return this.#living()
      .sort((a, b) => this.#rank(a) - this.#rank(b) || (a.order < b.order ? -1 : 1))
      .map(entry => entry.record)
  }

  get(address: Address): UnitRecord | undefined {
    const record = this.#entries.get(address)?.record
    return record !== undefined && this.#lives(record) ? record : undefined
  }

  /** The living unit whose record carries this certificate (DER). */
  byCertificate(certificate: Uint8Array): UnitRecord | undefined {
    const address = this.#certificates.get(toHex(sha256(certificate)))
    return address === undefined ? undefined : this.get(address)
  }

  /** A call to that unit worked or failed, and why. */
  report(address: Address, outcome: 'ok' | 'failed', failure?: unknown): void {
    const entry = this.#entries.get(address)
    if (entry === undefined) return
    const now = this.#clock.now()
    if (outcome === 'ok') Object.assign(entry, { failures: 0, lostAt: undefined, workedAt: now })
    else Object.assign(entry, { failures: this.#failures(entry) + 1, failedAt: now, failure: textOf(failure) })
  }

  /** Calls to a unit that failed since one worked, and why the last did. Forgotten after five minutes. */
  callsOf(address: Address): CallRecord {
    const entry = this.#entries.get(address)
    const failedCalls = entry === undefined ? 0 : this.#failures(entry)
    return { failedCalls, lastFailure: failedCalls === 0 ? null : (entry?.failure ?? null) }
  }

  /** The last connection to a peer broke: its units sink until they are heard of again. */
  lost(peer: string): void {
    for (const entry of this.#entries.values()) if (entry.record.peer === peer) entry.lostAt = this.#clock.now()
  }

  /** A peer is connected (again). */
  joined(peer: string): void {
    for (const entry of this.#entries.values()) if (entry.record.peer === peer) entry.lostAt = undefined
  }

  /** Tells of each record taken. Returns how to stop. */
  onChange(listener: (record: UnitRecord, outcome: 'new' | 'renewed') => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** @throws AoError `DEADLINE` | `ABORTED` by the signal, `OVERLOADED` when too many wait. */
  async waitFor(address: Address, { signal }: AbortOptions = {}): Promise<UnitRecord> {
    throwIfAborted(signal)
    const known = this.get(address)
    if (known !== undefined) return known
    if (this.#waiting >= maxWaiting) throw new AoError('OVERLOADED', 'too many wait for units', { waiting: maxWaiting })
    this.#waiting += 1
    this.#wanted.set(address, (this.#wanted.get(address) ?? 0) + 1)
    let stop = (): void => undefined
    const found = new Promise<UnitRecord>(resolve => {
      stop = this.onChange(record => record.address === address && resolve(record))
    })
    return raceSignal(found, { signal }).finally(() => {
      stop()
      this.#waiting -= 1
      const others = (this.#wanted.get(address) ?? 1) - 1
      if (others > 0) this.#wanted.set(address, others)
      else this.#wanted.delete(address)
    })
  }

  /** Units that somebody waits for. */
  get wanted(): Iterable<Address> {
    return this.#wanted.keys()
  }

  #compare(record: UnitRecord): RecordOutcome {
    if (!this.#lives(record)) return 'expired'
    const held = this.#entries.get(record.address)?.record
    if (held !== undefined && held.issuedAt === record.issuedAt) return sameBytes(held, record) ? 'same' : 'old'
    if (held !== undefined && held.issuedAt > record.issuedAt) return 'old'
    if (record.issuedAt > this.#clock.now() + maxSkewMs) return 'early'
    return held === undefined ? 'new' : 'renewed'
  }

  // Newcomers are refused rather than let them drive out units that are in use: a flood of fresh keys costs nothing.
  // Only whom somebody here waits for takes the place of the last one, or a full book would hide it for good.
  #makeRoom(newcomer: Address): void {
    if (this.#entries.size < this.#maxRecords) return
    for (const [address, { record }] of this.#entries) if (!this.#lives(record)) this.#forget(address)
    if (this.#entries.size < this.#maxRecords) return
    const last = this.#wanted.has(newcomer)
      ? this.all().findLast(({ address }) => !this.#usedLately(address))
      : undefined
    if (last === undefined || !this.#forget(last.address)) {
      throw new AoError('OVERLOADED', 'the book of unit records is full', { limit: this.#maxRecords })
    }
  }

  #take(record: UnitRecord, outcome: 'new' | 'renewed'): void {
    const {
      failures = 0,
      failedAt = 0,
      workedAt = Number.NEGATIVE_INFINITY,
      failure,
      lostAt,
    } = this.#entries.get(record.address) ?? {}
    // A record signed before the loss, still on its way through others, is no sign of life.
    const stillLostAt = lostAt !== undefined && record.issuedAt <= lostAt ? lostAt : undefined
    const order = toHex(sha256(utf8(this.#options.seed), utf8(record.address)))
    this.#forget(record.address)
    // A certificate stays with whom it came with first: naming another's must not make its calls look like one's own.
    const fingerprint = toHex(sha256(record.certificate))
    if (!this.#certificates.has(fingerprint)) this.#certificates.set(fingerprint, record.address)
    this.#entries.set(record.address, { record, failures, failedAt, failure, workedAt, lostAt: stillLostAt, order })
    for (const listener of this.#listeners) listener(record, outcome)
  }

  #forget(address: Address): boolean {
    const { record } = this.#entries.get(address) ?? {}
    const fingerprint = record && toHex(sha256(record.certificate))
    if (fingerprint !== undefined && this.#certificates.get(fingerprint) === address) {
      this.#certificates.delete(fingerprint)
    }
    return this.#entries.delete(address)
  }

  #usedLately(address: Address): boolean {
    const workedAt = this.#entries.get(address)?.workedAt ?? Number.NEGATIVE_INFINITY
    return address === this.#options.self || this.#clock.now() - workedAt < failureMemoryMs
  }

  #living(): Entry[] {
    return [...this.#entries.values()].filter(({ record }) => this.#lives(record))
  }

  #lives(record: UnitRecord): boolean {
    return record.expiresAt > this.#clock.now()
  }

  /** Lower is better; a unit that sank ranks below every one that did not. */
  #rank(entry: Entry): number {
    const failures = this.#failures(entry)
    const coolDownMs = Math.min(maxCoolDownMs, firstCoolDownMs * 2 ** (failures - 1))
    const cooling = failures > 0 && this.#clock.now() < entry.failedAt + coolDownMs
    const sunk = entry.lostAt !== undefined || cooling
    return (sunk ? 1_000_000 : 0) + 1_000 * failures + this.#distance(entry) + loadClass(entry)
  }

  // In classes of twice the time, so that equals stay equals whatever the last ping took. Not measured counts as 50 ms.
  #distance({ record }: Entry): number {
    const ms = this.#options.latencyOf?.(record.peer) ?? unknownLatencyMs
    return Math.min(10, Math.floor(Math.log2(1 + ms / 25)))
  }

  #failures({ failures, failedAt }: Entry): number {
    return this.#clock.now() - failedAt < failureMemoryMs ? failures : 0
  }
}

/** 0 to 4: what a unit says of itself moves it no further than a few hops of latency do. */
const loadClass = ({ record }: Entry): number => Math.floor((record.load ?? 0) / 25)

const maxFailureChars = 200

function textOf(failure: unknown): string | undefined {
  if (failure === undefined) return undefined
  const { code, message, facts } = AoError.from(failure)
  const reason = facts['reason'] === undefined ? '' : ` (${facts['reason']})`
  return `${code}: ${message}${reason}`.slice(0, maxFailureChars)
}

const sameBytes = (a: UnitRecord, b: UnitRecord): boolean => Buffer.compare(a.raw, b.raw) === 0

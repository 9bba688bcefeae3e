import type { Clock } from '../../lib/clock.ts'
import type { Metrics } from '../../lib/telemetry.ts'
import { BlameLimiter } from './blame.ts'

/** What a peer can be blamed for, with the points each time costs. A peer is banned at `banPoints`. */
const offences = {
  /** A gossip message that proves itself wrong. */
  'gossip-invalid': 5,
  /** More gossip of its own than its topic allows. */
  'gossip-rate': 0.2,
  /** A unit record that proves itself wrong, handed over in an exchange or through the DHT. */
  'record-invalid': 10,
  /** More questions to our part of the DHT than allowed, or questions that nobody here asks. */
  'dht-rate': 1,
  'dht-misuse': 10,
  /** Gossip that its author has not signed. */
  'gossip-unsigned': 5,
  /** Its stream of gossip ended: it read too slowly for what there was, or sent more at once than allowed. */
  'gossip-mute': 2,
  /** gRPC calls above its rate; above its number open at once; messages of streams held back, which costs nothing. */
  'grpc-rate': 0.2,
  'grpc-open': 0.2,
  'grpc-held': 0,
  /** It called on after so many refusals that it was hung up on. What led there has been counted. */
  'grpc-cut': 0,
  /** Calls whose request does not arrive, or has a frame above the limit. */
  'grpc-slow': 2,
  'grpc-too-large': 5,
  /** Connections above the limit of an address, and such that never finish a TLS handshake. */
  'grpc-connections': 0.2,
  'grpc-handshake': 1,
} as const satisfies Record<string, number>
export type Offence = keyof typeof offences

/** Half of the points are forgiven in this many milliseconds. */
const halfLifeMs = 30_000
/** Points that lead to a ban: ten lies, or a flood of 500 beyond its limits. */
const banPoints = 100
/** Milliseconds of a ban. Long enough to starve a flood, short enough that a mended node is soon back. */
const banMs = 120_000
/** What offences take off the gossip score at the most: less than any of its thresholds, so that a ban stays this ledger's decision. */
const maxPenalty = 15
/** Peers remembered at once; the one longest quiet is forgotten first. */
const maxPeers = 1024

export interface PeerConduct {
  readonly peer: string
  /** How often, by reason. */
  readonly offences: Readonly<Partial<Record<Offence, number>>>
  readonly points: number
  readonly lastOffence: Offence
  readonly lastOffenceAt: number
  /** Milliseconds since the Unix epoch; 0 if it is not banned. */
  readonly bannedUntil: number
}

export interface LedgerOptions {
  readonly bans?: boolean
  readonly count?: (reason: Offence, times: number) => void
}

interface Entry {
  readonly offences: Partial<Record<Offence, number>>
  points: number
  at: number
  last: Offence
  bannedUntil: number
}

/**
 * Strangers by their IP address: seen, limited, never banned, for behind one address there may be many.
 */
export function strangersLedger(clock: Clock, metrics: Metrics): PeerLedger {
  const ledger = new PeerLedger(clock, () => 2 * maxPeers, { bans: false, count: offenceCounter(metrics, 'stranger') })
  metrics.gauge('aonet_network_strangers', 'IP addresses of strangers with something against them', () => ledger.size)
  return ledger
}

/** Counts offences by who did them: peers of the network, or strangers over gRPC. */
export function offenceCounter(metrics: Metrics, who: 'peer' | 'stranger'): (reason: Offence, times: number) => void {
  const total = metrics.counter('aonet_network_offences_total', 'What peers and strangers did that they should not', [
    'who',
    'reason',
  ])
  return (reason, times) => total.add(times, { who, reason })
}

/**
 * What this node has against its peers, and whom it bans for it.
 *
 * Invariant: at most half of the neighbours (never less than three) are blamed within a minute: when more seem to
 * misbehave, it is likelier that this node is wrong, and it must not cut itself off.
 */
export class PeerLedger {
  readonly #clock: Clock
  readonly #crowd: BlameLimiter
  readonly #entries = new Map<string, Entry>()
  readonly #listeners = new Set<(peer: string, reason: Offence) => void>()
  readonly #bans: boolean
  readonly #count: NonNullable<LedgerOptions['count']>

  /**
   * @param neighbours How many peers are connected now.
   * @param options.bans Whether points lead to a ban. Default true.
   * @param options.count Told of each offence that counts.
   */
  constructor(clock: Clock, neighbours: () => number, { bans = true, count = () => undefined }: LedgerOptions = {}) {
    this.#clock = clock
    this.#bans = bans
    this.#count = count
    this.#crowd = new BlameLimiter(clock, neighbours, Number.POSITIVE_INFINITY)
  }

  /** Counts an offence, or so many at once, and bans whoever has too many. */
  blame(peer: string, reason: Offence, times = 1): void {
    if (offences[reason] > 0 && !this.#crowd.mayBlame(peer)) return
    this.#count(reason, times)
    const now = this.#clock.now()
    const entry = this.#entries.get(peer) ?? { offences: {}, points: 0, at: now, last: reason, bannedUntil: 0 }
    entry.points = this.#points(entry) + offences[reason] * times
    entry.offences[reason] = (entry.offences[reason] ?? 0) + times
    Object.assign(entry, { at: now, last: reason })
    this.#entries.delete(peer)
    this.#entries.set(peer, entry)
    if (this.#entries.size > maxPeers) this.#forgetOldest()
    if (this.#bans && entry.points >= banPoints && entry.bannedUntil <= now) this.#ban(peer, entry)
  }

  /** Of whom something is remembered. */
  get size(): number {
    return this.#entries.size
  }

  isBanned(peer: string): boolean {
    return (this.#entries.get(peer)?.bannedUntil ?? 0) > this.#clock.now()
  }

  /** Zero or less: what gossip adds to the score of the peer. */
  scoreOf(peer: string): number {
    const entry = this.#entries.get(peer)
    return entry === undefined ? 0 : -Math.min(maxPenalty, this.#points(entry))
  }

  /** Worst first. */
  list(): readonly PeerConduct[] {
    const now = this.#clock.now()
    return [...this.#entries]
      .map(([peer, entry]) => ({
        peer,
        offences: { ...entry.offences },
        points: Math.round(this.#points(entry)),
        lastOffence: entry.last,
        lastOffenceAt: entry.at,
        bannedUntil: entry.bannedUntil > now ? entry.bannedUntil : 0,
      }))
      .sort((a, b) => b.bannedUntil - a.bannedUntil || b.points - a.points)
  }

  /** Forgets what a peer did. Returns whether there was anything. */
  forgive(peer: string): boolean {
    return this.#entries.delete(peer)
  }

  /** Tells of each ban. Returns how to stop. */
  onBan(listener: (peer: string, reason: Offence) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #ban(peer: string, entry: Entry): void {
    entry.bannedUntil = this.#clock.now() + banMs
    for (const listener of this.#listeners) listener(peer, entry.last)
  }

  #points({ points, at }: Entry): number {
    return points * 2 ** (-Math.max(0, this.#clock.now() - at) / halfLifeMs)
  }

  #forgetOldest(): void {
    for (const [peer] of this.#entries) {
      if (this.isBanned(peer)) continue
      this.#entries.delete(peer)
      return
    }
  }
}

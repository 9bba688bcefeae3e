import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Stream } from '@libp2p/interface'
import { type AbortOptions, throwIfAborted, withDeadline } from '../../lib/abort.ts'
import type { Component } from '../../lib/component.ts'
import { AoError } from '../../lib/errors.ts'
import { Slots } from '../../lib/slots.ts'
import type { Counter } from '../../lib/telemetry.ts'
import type { PeerDirectory, Verdict } from '../../ports/peers.ts'
import type { Address } from '../../protocol/ids.ts'
import { draftUnitRecord, type UnitRecord, type UnitRole } from '../../protocol/unit-record.ts'
import { Connector } from './connector.ts'
import { DhtRecords } from './dht-records.ts'
import type { Libp2pDirectoryDeps, Libp2pDirectoryOptions } from './directory-options.ts'
import { GossipSelfTest } from './gossip-self-test.ts'
import { RecordAsker } from './record-asker.ts'
import { type CallRecord, RecordBook } from './record-book.ts'
import { readRecords, sendNoRecords, sendRecords } from './record-exchange.ts'
import { SavedRecords } from './saved-records.ts'
import { verdictOf } from './verdict.ts'

/** Milliseconds for one exchange of records, and for an unforced publication after another. */
const exchangeMs = 10_000
const quietMs = 1_000
const connectMs = 1_000
/** Peers answered at once, and waiting for it; above it a peer is told nothing and asks again. */
const maxServed = 8
const maxServedWaiting = 64
/** A record that so many neighbours were sent has found its way: further ones learn of it when they meet this node. */
const enoughHearers = 3
/** Records verified before other work gets its turn. */
const verifyBatch = 16

/**
 * The units of the network, from signed records that travel three ways: gossip spreads each refresh; peers that connect
 * hand each other all they hold, for gossip never shows a newcomer what was said before; and each unit's record lies in
 * the DHT under its address, where who knows that address finds it whoever its neighbours are.
 */
export class Libp2pDirectory implements PeerDirectory, Component {
  readonly name = 'libp2p-directory'
  readonly #deps: Libp2pDirectoryDeps
  readonly #options: Libp2pDirectoryOptions
  readonly #book: RecordBook
  readonly #connector: Connector
  readonly #dht: DhtRecords
  readonly #saved: SavedRecords | undefined
  /** Whether what this node publishes arrives. */
  readonly selfTest: GossipSelfTest
  readonly #judged: Counter
  /** Records that gossip has carried through here: the first time an exchanged record comes by gossip, it goes on. */
  readonly #spread = new WeakSet<UnitRecord>()
  readonly #asker: RecordAsker
  readonly #serving = new Slots(maxServed)
  readonly #served = new Set<Promise<void>>()
  #stops: (() => void)[] = []
  #stopping = new AbortController()
  #started = false
  #publishedAt = 0
  /** How many neighbours were there to hear the last publication. */
  #hearers = 0
  #signed: Uint8Array = new Uint8Array(0)
  #publishing: Promise<void> = Promise.resolve()
  #soon: NodeJS.Timeout | undefined

  constructor(deps: Libp2pDirectoryDeps, options: Libp2pDirectoryOptions) {
    const { host, clock, log, metrics } = deps
    this.#deps = deps
    this.#options = options
    const { maxRecords = 4096, targetConnections = 12 } = options
    const latencyOf = (peer: string): number | undefined => host.latencyOf(peer)
    this.#book = new RecordBook(clock, {
      ...{ network: host.networkHash, seed: host.peerId, self: deps.signer.address },
      ...{ maxRecords, latencyOf },
    })
    this.#dht = new DhtRecords({ ...deps, take: async bytes => void (await this.#judge(bytes)) })
    const dial = (peer: string, addresses: readonly string[]): Promise<void> => host.dial(peer, addresses)
    // Asked past the bound on exchanges: attackers who keep those busy must not hide a unit that somebody waits for.
    const reach = (peer: string, addresses: readonly string[]): Promise<void> =>
      dial(peer, addresses).then(async () => void (await this.#ask(peer)))
    const isConnected = (peer: string): boolean => host.peers.has(peer)
    this.#asker = new RecordAsker({ log, isConnected, ask: (peer, options) => this.#ask(peer, options) })
    const { saved: store } = deps
    this.#saved = store && new SavedRecords({ log, clock, store, network: host.networkHash, reach })
    const connected = (): ReadonlySet<string> => host.peers
    const records = (): readonly UnitRecord[] => [...this.#book.all(), ...this.#remembered()]
    this.#connector = new Connector({ log, clock, self: host.peerId, connected, records, dial }, targetConnections)
    this.selfTest = new GossipSelfTest({
      ...deps,
      own: () => this.#book.get(deps.signer.address),
      ask: async peer => readRecords(await host.askRecords(peer), { signal: AbortSignal.timeout(exchangeMs) }),
    })
    this.#judged = metrics.counter('aonet_network_records_total', 'Unit records judged', ['outcome'])
    metrics.gauge('aonet_network_units', 'Living units known', () => this.#book.all().length)
  }

  find(role: UnitRole): readonly UnitRecord[] {
    return this.#book.find(role)
  }

  get(address: Address): UnitRecord | undefined {
    return this.#book.get(address)
  }

  all(): readonly UnitRecord[] {
    return this.#book.all()
  }

  /** The living unit whose record carries this certificate (DER). */
  byCertificate(certificate: Uint8Array): UnitRecord | undefined {
    return this.#book.byCertificate(certificate)
  }

  report(address: Address, outcome: 'ok' | 'failed', failure?: unknown): void {
    this.#book.report(address, outcome, failure)
  }

  /** Calls to a unit that failed lately, and why the last did. */
  callsOf(address: Address): CallRecord {
    return this.#book.callsOf(address)
  }

  /** Looks into the DHT too, and goes straight to where the unit was before a restart, whatever the neighbours say. */
  waitFor(address: Address, options: AbortOptions = {}): Promise<UnitRecord> {
    if (this.#started && this.#book.get(address) === undefined) {
      this.#dht.look(address)
      this.#saved?.reach(address)
    }
    return this.#book.waitFor(address, options)
  }

  /** The newest record that this node signed of itself; no bytes before the first. */
  get signed(): Uint8Array {
    return this.#signed
  }

  /** Takes a record that came another way. @throws AoError as the book does */
  async take(bytes: Uint8Array): Promise<void> {
    await this.#judge(bytes)
  }

  /** Tells of each unit that appears or renews its record. Returns how to stop. */
  onChange(listener: (record: UnitRecord, outcome: 'new' | 'renewed') => void): () => void {
    return this.#book.onChange(listener)
  }

  /**
   * Host and gossip are started before this.
   *
   * @throws AoError `INVALID_RECORD` | `TOO_LARGE` | `WRONG_NETWORK` if what `describe` gives makes no valid record.
   */
  async start({ signal }: AbortOptions = {}): Promise<void> {
    if (this.#started) return
    throwIfAborted(signal)
    const { host, gossip } = this.#deps
    this.#stopping = new AbortController()
    this.#asker.start()
    await this.#sign()
    await this.#saved?.load()
    this.#started = true
    host.serveRecords(stream => this.#serve(stream))
    const refreshMs = this.#options.refreshMs ?? 20_000
    // A tenth of chance, so that nodes started together do not speak together for ever.
    const refresh = setInterval(() => this.#publishSoon(), refreshMs * (0.95 + 0.1 * Math.random()))
    const connect = setInterval(() => {
      this.#connector.tick()
      this.#saved?.tick(() => this.#others())
      this.selfTest.tick()
      // One look is not enough where liars end most of them.
      for (const address of this.#book.wanted) this.#dht.look(address)
      // Twice in a life, so that one that is lost leaves no gap.
      this.#dht.tick(() => this.#book.get(this.#deps.signer.address), this.#lifetimeMs / 2)
    }, connectMs)
    this.#stops = [
      () => clearInterval(refresh),
      () => clearInterval(connect),
      () => host.serveRecords(),
      gossip.subscribe('unit-records', bytes => this.#judgeGossip(bytes)),
      gossip.onSubscriber(topic => topic === 'unit-records' && this.#hearers < enoughHearers && this.#publishSoon()),
      host.onPeer({
        joined: peer => this.#joined(peer),
        left: peer => this.#book.lost(peer),
        moved: () => this.#publishSoon(),
      }),
    ]
    this.selfTest.start()
    for (const peer of host.peers) this.#joined(peer)
    this.#publishSoon()
    this.#connector.tick()
  }

  /** Publishes nothing more; resolves when nothing is under way. What is known stays readable. */
  async stop(): Promise<void> {
    if (!this.#started) return
    this.#started = false
    clearTimeout(this.#soon)
    this.#soon = undefined
    for (const stop of this.#stops) stop()
    this.#stops = []
    this.#stopping.abort(new AoError('STOPPING', 'the directory is shutting down'))
    await this.selfTest.stop()
    const parts = [this.#asker.stop(), this.#connector.settled(), this.#dht.stop()]
    await Promise.allSettled([...this.#served, this.#publishing, ...parts])
    await this.#saved?.save(this.#others())
  }

  #others(): readonly UnitRecord[] {
    return this.#book.all().filter(({ peer }) => peer !== this.#deps.host.peerId)
  }

  /** Peers known before a restart and not heard of since. */
  #remembered(): readonly UnitRecord[] {
    return this.#saved?.records.filter(({ address }) => this.#book.get(address) === undefined) ?? []
  }

  get #lifetimeMs(): number {
    return this.#options.lifetimeMs ?? 90_000
  }

  /** Signs a new own record and takes it into the book. */
  async #sign(): Promise<UnitRecord> {
    const { clock, signer } = this.#deps
    const last = this.#book.get(signer.address)?.issuedAt ?? 0
    const issuedAt = Math.max(clock.now(), last + 1)
    const expiresAt = issuedAt + this.#lifetimeMs
    const item = await signer.sign(draftUnitRecord({ ...this.#options.describe(), issuedAt, expiresAt }))
    this.#signed = item.raw
    return (await this.#book.judge(item.raw)).record
  }

  // Many neighbours appear within a moment: one publication serves them all, and none comes too early for the last.
  #publishSoon(atLeastMs = 20): void {
    if (!this.#started || this.#soon !== undefined) return
    const wait = Math.max(atLeastMs, this.#publishedAt + quietMs - this.#deps.clock.now())
    this.#soon = setTimeout(() => {
      this.#soon = undefined
      this.#publishing = this.#publish().catch((error: unknown) => {
        const level = AoError.from(error).code === 'OVERLOADED' ? 'debug' : 'error'
        this.#deps.log[level]('record-not-published', { error: String(error) })
      })
    }, wait)
  }

  async #publish(): Promise<void> {
    const { clock, gossip, host } = this.#deps
    const record = await this.#sign()
    if (!this.#started) return
    this.#hearers = gossip.subscribers('unit-records').length
    if (this.#hearers === 0) {
      // With nobody to hear it, it is not said: who is about to listen hears it a moment later.
      if (host.peers.size > 0) this.#publishSoon(quietMs)
      return
    }
    this.#publishedAt = clock.now()
    await gossip.publish('unit-records', record.raw)
  }

  async #judgeGossip(bytes: Uint8Array): Promise<Verdict> {
    const taken = await this.#judge(bytes)
    if (taken === undefined || this.#spread.has(taken)) return 'ignore'
    this.#spread.add(taken)
    return 'accept'
  }

  /** The record as the book holds it, if it does. */
  async #judge(bytes: Uint8Array): Promise<UnitRecord | undefined> {
    try {
      const { outcome, record } = await this.#book.judge(bytes)
      this.#judged.add(1, { outcome })
      if (outcome === 'new')
        this.#deps.log.info('unit-found', { address: record.address, roles: record.roles.join(' ') })
      return outcome === 'new' || outcome === 'renewed' || outcome === 'same'
        ? this.#book.get(record.address)
        : undefined
    } catch (error) {
      this.#judged.add(1, { outcome: AoError.from(error).code })
      throw error
    }
  }

  #joined(peer: string): void {
    this.#book.joined(peer)
    this.#asker.joined(peer)
  }

  async #serve(stream: Stream): Promise<void> {
    if (!this.#started || this.#serving.waiting >= maxServedWaiting) return sendNoRecords(stream)
    const signal = withDeadline(exchangeMs, { signal: this.#stopping.signal })
    const served = this.#serving.run(() =>
      sendRecords(
        stream,
        this.#book.all().map(record => record.raw),
        { signal },
      ),
    )
    this.#served.add(served)
    return served.finally(() => this.#served.delete(served))
  }

  /** How many records the peer told. */
  async #ask(peer: string, options: AbortOptions = { signal: this.#stopping.signal }): Promise<number> {
    const signal = withDeadline(exchangeMs, options)
    const stream = await this.#deps.host.askRecords(peer, { signal })
    const records = await readRecords(stream, { signal })
    for (const [i, bytes] of records.entries()) {
      if (i % verifyBatch === verifyBatch - 1) await nextTurn()
      throwIfAborted(signal)
      try {
        await this.#judge(bytes)
      } catch (error) {
        // What gossip would reject ends the conversation; what is nobody's fault does not.
        if (verdictOf(error) !== 'reject') continue
        this.#deps.host.ledger.blame(peer, 'record-invalid')
        throw error
      }
    }
    this.#connector.tick()
    return records.length
  }
}

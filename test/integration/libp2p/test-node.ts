import { systemClock } from '../../../src/lib/clock.ts'
import { ComponentList } from '../../../src/lib/component.ts'
import { type LogFacts, type Logger, silentMetrics } from '../../../src/lib/telemetry.ts'
import { Libp2pDirectory } from '../../../src/network/libp2p/directory.ts'
import type { Libp2pDirectoryOptions } from '../../../src/network/libp2p/directory-options.ts'
import { Libp2pGossip } from '../../../src/network/libp2p/gossip.ts'
import { Libp2pHost } from '../../../src/network/libp2p/host.ts'
import { defaultHostLimits, type Libp2pHostOptions } from '../../../src/network/libp2p/host-config.ts'
import { strangersLedger } from '../../../src/network/libp2p/peer-ledger.ts'
import { peerList } from '../../../src/node/peer-list.ts'
import type { RecordStore } from '../../../src/ports/record-store.ts'
import type { Address } from '../../../src/protocol/ids.ts'
import { type PrivateJwk, signerFromJwk } from '../../../src/protocol/keys.ts'
import type { UnitRole } from '../../../src/protocol/unit-record.ts'
import { testJwk } from '../../support/builders.ts'

export const network = 'testnet-parameters-hash-of-43-characters---'

export interface TestNodeOptions extends Partial<Omit<Libp2pHostOptions, 'privateKey'>> {
  readonly jwk?: PrivateJwk
  readonly roles?: readonly UnitRole[]
  readonly directory?: Partial<Libp2pDirectoryOptions>
  readonly saved?: RecordStore
}

/** Host, gossip and directory of one node on loopback, as the composition root puts them together. */
export class TestNode {
  readonly name: string
  readonly address: Address
  readonly host: Libp2pHost
  readonly gossip: Libp2pGossip
  readonly directory: Libp2pDirectory
  /** What it has against callers that are no units. */
  readonly strangers = strangersLedger(systemClock, silentMetrics)
  readonly events: { readonly event: string; readonly facts: LogFacts }[] = []
  readonly #all: ComponentList

  constructor(name: string, options: TestNodeOptions = {}) {
    this.name = name
    const { jwk = testJwk(name), roles = ['CU'], directory = {}, saved, ...host } = options
    const telemetry = { log: this.#logger(), metrics: silentMetrics }
    const signer = signerFromJwk(jwk)
    this.address = signer.address
    this.host = new Libp2pHost(telemetry, {
      privateKey: jwk,
      listen: ['/ip4/127.0.0.1/tcp/0'],
      bootstrap: [],
      mdns: false,
      networkHash: network,
      allowSameIp: true,
      version: '0.0.0-test',
      limits: defaultHostLimits,
      ...host,
    })
    this.gossip = new Libp2pGossip({ ...telemetry, host: this.host })
    const describe = (): ReturnType<Libp2pDirectoryOptions['describe']> => ({
      roles,
      peer: this.host.peerId,
      multiaddrs: this.host.multiaddrs,
      grpc: '127.0.0.1:50051',
      certificate: new Uint8Array(600).fill(1),
      network: this.host.networkHash,
      formats: [],
    })
    const deps = { ...telemetry, clock: systemClock, host: this.host, gossip: this.gossip, signer, saved }
    this.directory = new Libp2pDirectory(deps, { describe, ...directory })
    this.#all = new ComponentList(name, [this.host, this.gossip, this.directory])
  }

  async start(): Promise<this> {
    await this.#all.start()
    return this
  }

  stop(): Promise<void> {
    return this.#all.stop()
  }

  /** The address to join through. */
  get multiaddr(): string {
    return this.host.multiaddrs[0] ?? ''
  }

  knows(nodes: readonly TestNode[]): boolean {
    return nodes.every(node => this.directory.get(node.address) !== undefined)
  }

  /** What `aonet peers` shows of a peer, or of an `ip <address>`. */
  shown(peer: string): PeerRow | undefined {
    return (peerList(this) as unknown as readonly PeerRow[]).find(row => row.peer === peer)
  }

  logged(event: string): boolean {
    return this.events.some(entry => entry.event === event)
  }

  #logger(): Logger {
    const keep = (event: string, facts: LogFacts = {}): void => {
      this.events.push({ event, facts })
    }
    const log: Logger = { error: keep, warn: keep, info: keep, debug: keep, child: () => log }
    return log
  }
}

interface PeerRow {
  readonly peer: string
  readonly state: string
  readonly score: number | null
  readonly points: number
  readonly offences: Readonly<Record<string, number>>
  readonly lastOffence: string | null
  readonly bannedUntil: number
  readonly invalidGossip: number
  readonly failedCalls: number
  readonly lastFailure: string | null
}

/** Starts nodes that join through the first, side by side. */
export async function startNetwork(names: readonly string[], options: TestNodeOptions = {}): Promise<TestNode[]> {
  const [first = 'first', ...others] = names
  const bootstrap = await new TestNode(first, options).start()
  const nodes = others.map(name => new TestNode(name, { ...options, bootstrap: [bootstrap.multiaddr] }))
  await Promise.all(nodes.map(node => node.start()))
  return [bootstrap, ...nodes]
}

export const stopAll = (nodes: readonly TestNode[]): Promise<unknown> => Promise.all(nodes.map(node => node.stop()))

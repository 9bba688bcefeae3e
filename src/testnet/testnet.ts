import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { sleep } from '../lib/abort.ts'
import { AoError } from '../lib/errors.ts'
import { hostAndPort, reachableHost, tcpMultiaddr } from '../lib/reachable-host.ts'
import { configFile } from '../node/config.ts'
import { createKey } from '../node/keys.ts'
import type { NodeOptions } from '../node/settings.ts'
import { endpointOf, isAlive, loopback, readState, type TestnetNode, type TestnetState, writeState } from './layout.ts'
import { fetchStatus, isWhole, type NodeRow, nodeUrl } from './node-status.ts'
import { deployOrigin, planOrigin } from './origin.ts'
import { freePorts } from './ports.ts'
import { defaultShape, nodesOfShape, type PlannedNode, sameNodes } from './shape.ts'
import { Supervised } from './supervised.ts'

export interface TestnetOptions {
  readonly directory: string
  /** Milliseconds between blocks of the embedded Arweave. */
  readonly blockMs: number
  /** Throw away what an earlier testnet left here. */
  readonly fresh: boolean
  /** Address of this machine to be reached at, also by nodes elsewhere; by default as before, or the loopback. */
  readonly host?: string | undefined
  /** How many nodes of each kind, such as `su=1,cu=2,mu=1,all=1`; by default as before, or those. */
  readonly shape?: string | undefined
  /** By node: a fault that it is to show, such as `double-sign`. */
  readonly faults?: Readonly<Record<string, NodeOptions['fault']>> | undefined
  /** Called with a sentence whenever a part is up. */
  readonly onProgress: (text: string) => void
}

/**
 * Winston given to the wallet that pays for settlement, to the user's and to the faucet: 1,000 AR of the embedded Arweave.
 * Who holds AR earns what is minted.
 */
const funds = '1000000000000000'

/** A network of separate node processes on this machine, supervised. */
export class Testnet {
  readonly #options: TestnetOptions
  readonly #children = new Map<string, Supervised>()
  #state: TestnetState | undefined

  constructor(options: TestnetOptions) {
    this.#options = options
  }

  get directory(): string {
    return this.#options.directory
  }

  /** @throws AoError `NOT_READY` before `up`. */
  get state(): TestnetState {
    if (this.#state === undefined) throw new AoError('NOT_READY', 'the testnet is not up')
    return this.#state
  }

  /** Starts all nodes, the embedded Arweave first. @throws AoError `STORE_LOCKED` if a testnet runs here already. */
  async up(): Promise<void> {
    const { directory, fresh } = this.#options
    const before = this.#earlier()
    const planned = this.#planned(fresh ? undefined : before)
    if (fresh) rmSync(directory, { recursive: true, force: true })
    mkdirSync(directory, { recursive: true })
    this.#state = await this.#plan(planned, fresh ? undefined : before)
    writeState(directory, this.#state)
    await this.#startArweave()
    const [first, ...others] = this.#state.nodes
    if (first === undefined) return
    await this.#startNode(first, [])
    const bootstrap = await this.#joinAddress(first)
    await Promise.all(others.map(node => this.#startNode(node, [bootstrap])))
    await this.#untilWhole(60_000 + 2000 * others.length)
    if (this.#state.origin !== undefined) {
      await deployOrigin(directory, this.#state, endpointOf(first))
      this.#options.onProgress(
        `ao-sec      AO-Sec Origin ${this.#state.origin.process} (token and stakes; aonet faucet)`,
      )
    }
    this.#state = { ...this.#state, isUp: true }
    writeState(directory, this.#state)
  }

  /** Stops all, in the reverse order of their start. */
  async down(): Promise<void> {
    const children = [...this.#children.values()]
    const arweave = children.shift()
    await Promise.all(children.map(child => child.stop()))
    await arweave?.stop()
  }

  /** Kills a node as a power cut would. Supervision brings it back. */
  kill(name: string): void {
    this.#children.get(name)?.kill()
  }

  async rows(): Promise<readonly NodeRow[]> {
    return Promise.all(
      this.state.nodes.map(async node => {
        const child = this.#children.get(node.name)
        return { node, state: child?.state ?? 'stopped', pid: child?.pid, status: await fetchStatus(node) }
      }),
    )
  }

  /** Gossip needs a moment: a node is no use before it knows the others. */
  async #untilWhole(timeoutMs: number): Promise<void> {
    const deadline = Date.now() + timeoutMs
    while (!isWhole((await this.rows()).map(({ status }) => status))) {
      if (Date.now() > deadline) {
        throw new AoError(
          'NOT_READY',
          'the nodes do not find each other',
          {},
          { hint: `Their logs say why: aonet testnet logs ${this.state.nodes[0]?.name}.` },
        )
      }
      await sleep(100)
    }
  }

  /** The address that a node elsewhere joins through. */
  async #joinAddress(node: TestnetNode): Promise<string> {
    const status = await fetchStatus(node, 5000)
    const [address] = (status?.['multiaddrs'] ?? []) as readonly string[]
    if (address !== undefined) return address
    throw new AoError('NOT_READY', `${node.name} does not tell its peer-to-peer address`, { node: node.name })
  }

  #earlier(): TestnetState | undefined {
    const state = readState(this.#options.directory)
    if (state === undefined || !isAlive(state.supervisor) || state.supervisor === process.pid) return state
    throw new AoError(
      'STORE_LOCKED',
      `a testnet is running in ${this.#options.directory}`,
      { supervisor: state.supervisor },
      {
        hint: 'Look at it with `aonet testnet status`, stop it with `aonet testnet down`, or give this one another --dir.',
      },
    )
  }

  /** @throws AoError `INVALID_ARGUMENT` if the shape makes no network, is not that of before, or lacks the node of a fault. */
  #planned(before: TestnetState | undefined): readonly PlannedNode[] {
    const { shape, faults = {} } = this.#options
    const nodes = before !== undefined && shape === undefined ? before.nodes : nodesOfShape(shape ?? defaultShape)
    const names = nodes.map(({ name }) => name)
    if (before !== undefined && !sameNodes(nodes, before.nodes)) {
      throw new AoError(
        'INVALID_ARGUMENT',
        'the testnet that was here before has other nodes',
        { before: before.nodes.map(({ name }) => name).join(' '), wanted: names.join(' ') },
        { hint: 'Leave --nodes out to go on with those, add --fresh to throw its data away, or give another --dir.' },
      )
    }
    const stranger = Object.keys(faults).find(name => !names.includes(name))
    if (stranger === undefined) return nodes
    throw new AoError(
      'INVALID_ARGUMENT',
      `there is no node ${stranger} to misbehave`,
      { node: stranger },
      { hint: `The nodes are: ${names.join(', ')}.` },
    )
  }

  async #plan(planned: readonly PlannedNode[], before: TestnetState | undefined): Promise<TestnetState> {
    const { directory, host: named } = this.#options
    const host = named === undefined ? (before?.nodes[0]?.host ?? loopback) : reachableHost(named)
    const wanted =
      before === undefined ? [] : [before.arweave.port, ...before.nodes.flatMap(({ ports }) => Object.values(ports))]
    const [arweavePort = 0, ...ports] = await freePorts(1 + 3 * planned.length, { host, wanted })
    const wallet = join(directory, 'wallet.json')
    createKey(wallet, 'ed25519')
    const nodes = planned.map(({ name, roles }, index): TestnetNode => {
      const home = join(directory, name)
      const [p2p = 0, grpc = 0, http = 0] = ports.slice(3 * index)
      const { signer } = createKey(join(home, 'key.json'), 'ed25519')
      return { name, roles, directory: home, address: signer.address, host, ports: { p2p, grpc, http } }
    })
    const url = `http://${hostAndPort(host, arweavePort)}`
    const arweave = { directory: join(directory, 'arweave'), port: arweavePort, url }
    return {
      version: 1,
      supervisor: process.pid,
      startedAt: Date.now(),
      arweave,
      nodes,
      wallet,
      modules: before?.modules ?? {},
      origin: await planOrigin(directory, nodes),
    }
  }

  async #startArweave(): Promise<void> {
    const { arweave } = this.state
    const { blockMs, onProgress, directory } = this.#options
    const ready = async (): Promise<boolean> => (await fetch(`${arweave.url}/info`)).ok
    const child = new Supervised({
      name: 'arweave',
      args: [
        'devnet',
        ...['--data-dir', arweave.directory, '--host', new URL(arweave.url).hostname.replace(/[[\]]/g, '')],
        ...['--port', String(arweave.port), '--block-ms', String(blockMs)],
      ],
      logFile: join(arweave.directory, 'node.log'),
      ready,
    })
    this.#children.set(child.name, child)
    await child.start()
    const payer = createKey(this.#payerFile(), 'rsa').signer.address
    const { origin, wallet } = this.state
    const holders = [wallet, ...(origin === undefined ? [] : [origin.faucet])]
    const addresses = holders.map(file => createKey(file, 'ed25519').signer.address)
    for (const address of [payer, ...addresses]) await fetch(`${arweave.url}/mint/${address}/${funds}`)
    onProgress(
      `arweave     embedded gateway at ${arweave.url}, a block every ${blockMs / 1000} s (data in ${directory})`,
    )
  }

  async #startNode(node: TestnetNode, bootstrap: readonly string[]): Promise<void> {
    const file = join(node.directory, 'config.yaml')
    writeFileSync(file, configFile(this.#nodeOptions(node, bootstrap)))
    const ready = async (): Promise<boolean> => (await fetch(`${nodeUrl(node)}/ready`)).ok
    const child = new Supervised({
      name: node.name,
      args: ['start', '--config', file],
      logFile: join(node.directory, 'node.log'),
      ready,
    })
    this.#children.set(child.name, child)
    await child.start()
    this.#options.onProgress(
      `${node.name.padEnd(11)} ${node.roles.join('+').padEnd(9)} ${node.address}  grpc ${hostAndPort(node.host, node.ports.grpc)}  ${nodeUrl(node)}`,
    )
  }

  #nodeOptions(node: TestnetNode, bootstrap: readonly string[]): Partial<NodeOptions> {
    return {
      dataDir: node.directory,
      roles: [...node.roles],
      arweaveUrl: this.state.arweave.url,
      origin: this.state.origin?.process ?? '',
      fault: this.#options.faults?.[node.name] ?? '',
      ...(node.roles.includes('SU') ? { arweaveWallet: this.#payerFile() } : {}),
      p2pListen: [tcpMultiaddr(node.host, node.ports.p2p)],
      grpcHost: node.host,
      httpHost: node.host,
      bootstrap: [...bootstrap],
      grpcPort: node.ports.grpc,
      httpPort: node.ports.http,
      computeWorkers: 1,
      settleEveryMs: 2000,
      settleConfirmations: 2,
    }
  }

  #payerFile(): string {
    return join(this.#options.directory, 'settlement-wallet.json')
  }
}

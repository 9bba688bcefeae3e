import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GatewayClient } from '../../src/arweave/gateway-client.ts'
import { Client } from '../../src/client/client.ts'
import { type ModuleOptions, publishModule } from '../../src/client/module.ts'
import { silentTelemetry } from '../../src/lib/telemetry.ts'
import { connectNode } from '../../src/network/grpc/connect.ts'
import { configFile } from '../../src/node/config.ts'
import { createKey } from '../../src/node/keys.ts'
import type { NodeOptions } from '../../src/node/settings.ts'
import type { Address, ModuleId } from '../../src/protocol/ids.ts'
import { generateKey, type Signer, signerFromJwk } from '../../src/protocol/keys.ts'
import type { UnitRole } from '../../src/protocol/unit-record.ts'
import { freePorts } from '../../src/testnet/ports.ts'
import { eventually } from './eventually.ts'
import { killHard } from './fork.ts'
import { cliPath } from './run-cli.ts'

export interface RealNetworkOptions {
  /** Names of nodes and what they do. */
  readonly shape: Readonly<Record<string, readonly UnitRole[]>>
  readonly blockMs?: number
  readonly settings?: Partial<NodeOptions>
  /** For the nodes' Node: a profiler, say. */
  readonly execArgv?: readonly string[]
  /** Another build of the program for the nodes: one with a planted bug, say. */
  readonly program?: string
}

/** Nodes as processes of their own around an embedded Arweave, on loopback, with their data in a temporary directory. */
export class RealNetwork {
  readonly directory = mkdtempSync(join(tmpdir(), 'aonet-real-'))
  readonly user: Signer = signerFromJwk(generateKey('ed25519'))
  readonly nodes = new Map<string, RealNode>()
  /** From the last node's start until every node knew all others. */
  wholeAfterMs = 0
  readonly #options: RealNetworkOptions
  #arweave: RealProcess | undefined
  #arweaveUrl = ''

  constructor(options: RealNetworkOptions) {
    this.#options = options
  }

  /** Resolves when every node knows all others. */
  async start(): Promise<void> {
    const { shape, blockMs = 1_000, settings, execArgv = [], program } = this.#options
    const names = Object.keys(shape)
    const [arweavePort = 0, ...ports] = await freePorts(1 + 3 * names.length)
    this.#arweaveUrl = `http://127.0.0.1:${arweavePort}`
    const home = join(this.directory, 'arweave')
    const arguments_ = ['devnet', '--data-dir', home, '--port', String(arweavePort), '--block-ms', String(blockMs)]
    this.#arweave = new RealProcess(arguments_, join(this.directory, 'arweave.log'), `${this.#arweaveUrl}/info`)
    await this.#arweave.start()
    const payer = join(this.directory, 'payer.json')
    await fetch(`${this.#arweaveUrl}/mint/${createKey(payer, 'rsa').signer.address}/1000000000000000`)
    const p2p = (i: number): string => `/ip4/127.0.0.1/tcp/${ports[3 * i]}`
    const first = createKey(join(this.directory, names[0] ?? '', 'key.json'), 'ed25519')
    for (const [i, name] of names.entries()) {
      const roles = shape[name] ?? []
      this.nodes.set(
        name,
        new RealNode(
          name,
          join(this.directory, name),
          {
            roles: [...roles],
            arweaveUrl: this.#arweaveUrl,
            ...(roles.includes('SU') ? { arweaveWallet: payer } : {}),
            p2pListen: [p2p(i)],
            grpcPort: ports[3 * i + 1] ?? 0,
            httpPort: ports[3 * i + 2] ?? 0,
            computeWorkers: 1,
            settleEveryMs: 1_000,
            settleConfirmations: 1,
            ...settings,
          },
          { execArgv, program },
        ),
      )
    }
    const all = [...this.nodes.values()]
    await all[0]?.start()
    const status = await all[0]?.status()
    const [join_] = (status?.['multiaddrs'] ?? []) as string[]
    if (join_ === undefined || first.signer.address !== all[0]?.address)
      throw new Error('the first node has no address')
    await Promise.all(all.slice(1).map(node => node.start([join_])))
    const startedAt = performance.now()
    await eventually('the nodes to find each other', () => this.isWhole(), 60_000)
    this.wholeAfterMs = Math.round(performance.now() - startedAt)
  }

  /** Does each node know all others? */
  async isWhole(): Promise<boolean> {
    const statuses = await Promise.all([...this.nodes.values()].map(node => node.status()))
    return statuses.every(status => Number(status?.['units'] ?? 0) >= this.nodes.size)
  }

  node(name: string): RealNode {
    const node = this.nodes.get(name)
    if (node === undefined) throw new Error(`no node ${name}`)
    return node
  }

  /** Give it back with `close`. */
  async client(name: string): Promise<Client> {
    return new Client(await connectNode(this.node(name).endpoint, { timeoutMs: 10_000 }), this.user)
  }

  get arweaveUrl(): string {
    return this.#arweaveUrl
  }

  publish(module: ModuleOptions): Promise<ModuleId> {
    const arweave = new GatewayClient(silentTelemetry, { gatewayUrl: this.#arweaveUrl })
    return publishModule(module, { arweave, signer: this.user })
  }

  /** CPU that all nodes have used since they started, without the embedded Arweave, in milliseconds. */
  cpuMs(): number {
    return [...this.nodes.values()].reduce((sum, node) => sum + node.cpuMs(), 0)
  }

  async stop(): Promise<void> {
    await Promise.all([...this.nodes.values()].map(node => node.kill()))
    await this.#arweave?.kill()
    rmSync(this.directory, { recursive: true, force: true })
  }
}

/** How the command line is run. */
interface Program {
  readonly execArgv?: readonly string[]
  readonly program?: string | undefined
}

/** One program of the command line as a process that can be killed and started again. */
class RealProcess {
  readonly #arguments: readonly string[]
  readonly #execArgv: readonly string[]
  readonly #log: string
  readonly #readyUrl: string
  readonly #program: string
  #child: ChildProcess | undefined

  constructor(arguments_: readonly string[], log: string, readyUrl: string, how: Program = {}) {
    this.#execArgv = how.execArgv ?? []
    this.#program = how.program ?? cliPath
    this.#arguments = arguments_
    this.#log = log
    this.#readyUrl = readyUrl
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Whether it has ended, by itself or killed. */
  get isGone(): boolean {
    const child = this.#child
    return child === undefined || child.exitCode !== null || child.signalCode !== null
  }

  /** Resolves when it serves. @throws if it ends before. */
  async start(env: Readonly<Record<string, string>> = {}): Promise<void> {
    const log = openSync(this.#log, 'a')
    const child = spawn(process.execPath, [...this.#execArgv, this.#program, ...this.#arguments], {
      stdio: ['ignore', log, log],
      env: { ...process.env, ...env },
    })
    closeSync(log)
    this.#child = child
    const ready = async (): Promise<boolean> => {
      if (this.isGone) throw new Error(`it ended: ${readFileSync(this.#log, 'utf8').slice(-2_000)}`)
      return fetch(this.#readyUrl).then(
        ({ ok }) => ok,
        () => false,
      )
    }
    await eventually(`${this.#arguments[0]} to serve`, ready, 60_000)
  }

  /** As a power cut does. */
  async kill(): Promise<void> {
    if (this.#child !== undefined) await killHard(this.#child)
  }

  /** Asks it to stop, and waits. */
  async end(): Promise<void> {
    const child = this.#child
    if (child === undefined || this.isGone) return
    child.kill('SIGTERM')
    await once(child, 'exit')
  }
}

export class RealNode {
  readonly name: string
  readonly address: Address
  readonly directory: string
  readonly #options: Partial<NodeOptions>
  readonly #process: RealProcess
  #cpuBefore = 0

  constructor(name: string, directory: string, options: Partial<NodeOptions>, how: Program) {
    this.name = name
    this.directory = directory
    this.#options = options
    this.address = createKey(join(directory, 'key.json'), 'ed25519').signer.address
    this.#process = new RealProcess(
      ['start', '--config', this.#config],
      join(directory, 'node.log'),
      `${this.url}/ready`,
      how,
    )
  }

  get url(): string {
    return `http://127.0.0.1:${this.#options.httpPort}`
  }
  get endpoint(): string {
    return `${this.address}@127.0.0.1:${this.#options.grpcPort}`
  }
  get pid(): number | undefined {
    return this.#process.pid
  }
  get log(): string {
    return readFileSync(join(this.directory, 'node.log'), 'utf8')
  }

  /** @param bootstrap who to join through; as the last time if left out. */
  async start(bootstrap?: readonly string[]): Promise<void> {
    if (bootstrap !== undefined || !existsSync(this.#config)) {
      const options = { ...this.#options, dataDir: this.directory, bootstrap: [...(bootstrap ?? [])] }
      writeFileSync(this.#config, configFile(options))
    }
    await this.#process.start()
  }

  get isGone(): boolean {
    return this.#process.isGone
  }

  /** Starts it so that it ends as by a power cut at the place named; resolves when it serves or is gone. */
  async startToCrash(failpoint: string): Promise<void> {
    await this.#process.start({ AONET_FAILPOINT: failpoint }).catch((error: unknown) => {
      if (!this.isGone) throw error
    })
  }

  async status(): Promise<Record<string, unknown> | undefined> {
    return fetch(`${this.url}/status`).then(
      response => response.json() as Promise<Record<string, unknown>>,
      () => undefined,
    )
  }

  kill(): Promise<void> {
    this.#cpuBefore += cpuOf(this.pid)
    return this.#process.kill()
  }

  end(): Promise<void> {
    return this.#process.end()
  }

  cpuMs(): number {
    return this.#cpuBefore + cpuOf(this.pid)
  }

  get #config(): string {
    return join(this.directory, 'config.yaml')
  }
}

/** CPU that a process has used, in milliseconds. Linux counts in hundredths of a second; elsewhere nothing is known. */
export function cpuOf(pid: number | undefined): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    return 10 * (Number(fields[11]) + Number(fields[12]))
  } catch {
    return 0
  }
}

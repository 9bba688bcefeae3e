import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Arweave from 'arweave'
import { GatewayClient } from '../../src/arweave/gateway-client.ts'
import { publishModule } from '../../src/client/module.ts'
import { Devnet } from '../../src/devnet/devnet.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentTelemetry } from '../../src/lib/telemetry.ts'
import { echoFormat, echoModule } from '../../src/modules/echo/echo.ts'
import { loadConfig } from '../../src/node/config.ts'
import { createKey, type LoadedKey } from '../../src/node/keys.ts'
import { type AoNode, createNode } from '../../src/node/node.ts'
import type { Address, ModuleId } from '../../src/protocol/ids.ts'
import type { UnitRole } from '../../src/protocol/unit-record.ts'
import { readState, type TestnetState } from '../../src/testnet/layout.ts'
import { nodeUrl } from '../../src/testnet/node-status.ts'
import { eventually } from '../support/eventually.ts'
import { aosModule } from '../support/modules/aos.ts'
import { runCli } from '../support/run-cli.ts'

/** Through which nodes a client speaks. */
export type Door =
  | 'a node with all roles'
  | 'a node that only forwards'
  | 'an MU, an SU and a CU'
  | "the testnet's MU, SU and CU"

/** Which nodes there are, and with that the doors. */
export const layouts = {
  whole: ['a node with all roles', 'a node that only forwards'],
  split: ['an MU, an SU and a CU'],
  testnet: ["the testnet's MU, SU and CU"],
} as const satisfies Record<string, readonly Door[]>
export type Layout = keyof typeof layouts

/** What takes minutes more: each node a program of its own. */
export const slowLayouts: readonly Layout[] = ['testnet']
/** Those that are tried in this run. */
export const triedLayouts = (Object.keys(layouts) as readonly Layout[]).filter(
  layout => process.env['AONET_SLOW_TESTS'] === '1' || !slowLayouts.includes(layout),
)

/** Where a client finds a unit. */
export interface UnitDoor {
  readonly httpUrl: string
  readonly address: Address
}
/** Who answers for each unit. */
export type Units = Readonly<Record<UnitRole, UnitDoor>>

/**
 * An Arweave, and either a node with all roles and one with none, or three with one role each, in this program and over
 * real sockets; or the testnet of `aonet testnet up`. Evaluation runs in worker threads, so this works compiled only.
 */
export class LocalNetwork {
  readonly #dir: string
  readonly #devnet: Devnet
  #testnet: TestnetState | undefined
  readonly #nodes: AoNode[] = []
  readonly #units = new Map<Door, Units>()
  /** An RSA wallet: what AO users have. */
  readonly wallet: LoadedKey
  #modules: { readonly echo: ModuleId; readonly aos: ModuleId } | undefined

  private constructor(dir: string) {
    this.#dir = dir
    this.#devnet = new Devnet(
      { ...silentTelemetry, clock: systemClock },
      { dataDir: join(dir, 'arweave'), host: '127.0.0.1', port: 0, blockMs: 300, network: 'compat' },
    )
    this.wallet = createKey(join(dir, 'wallet.json'), 'rsa')
  }

  static async start(layout: Layout = 'whole'): Promise<LocalNetwork> {
    const network = new LocalNetwork(await mkdtemp(join(tmpdir(), 'aonet-compat-')))
    try {
      await network.#start(layout)
    } catch (error) {
      await network.stop()
      throw error
    }
    return network
  }

  get #testnetDir(): string {
    return join(this.#dir, 'testnet')
  }

  get gateway(): string {
    return this.#testnet?.arweave.url ?? this.#devnet.url
  }

  get modules(): { readonly echo: ModuleId; readonly aos: ModuleId } {
    if (this.#modules === undefined) throw new TypeError('the network is not started')
    return this.#modules
  }

  /** The file of `wallet`. */
  get walletFile(): string {
    return join(this.#dir, 'wallet.json')
  }

  /** Of the one SU. */
  get scheduler(): Address {
    return this.#anyUnits().SU.address
  }

  /** Of the one MU: what a Process that is to believe pushed messages names. */
  get authority(): Address {
    return this.#anyUnits().MU.address
  }

  /** Of the one SU. */
  get schedulerUrl(): string {
    return `${this.#anyUnits().SU.httpUrl}/su`
  }

  /** The node that a client asks for each kind of unit. */
  units(door: Door): Units {
    const units = this.#units.get(door)
    if (units === undefined) throw new TypeError('the network is not started, or has no such door')
    return units
  }

  /** The one node of a door, or the MU of it: it answers for all units. */
  node(door: Door): UnitDoor {
    return this.units(door).MU
  }

  /** `host:port` of the gRPC services of the node with all roles. */
  get grpc(): string {
    return (this.#nodes[0] as AoNode).record().grpc
  }

  /** Resolves when the item is on Arweave. */
  onArweave(item: string): Promise<unknown> {
    return eventually(
      'the item on Arweave',
      async () => (await fetch(`${this.gateway}/raw/${item}`)).ok || undefined,
      30_000,
    )
  }

  /** Posts a transaction with that data, as arweave-js users do; gives its id. */
  async transaction(data: string): Promise<string> {
    const { hostname: host, port } = new URL(this.gateway)
    const arweave = Arweave.init({ host, port: Number(port), protocol: 'http' })
    const wallet = this.wallet.jwk as unknown as Parameters<typeof arweave.createTransaction>[1]
    const transaction = await arweave.createTransaction({ data }, wallet)
    await arweave.transactions.sign(transaction, wallet as Parameters<typeof arweave.transactions.sign>[1])
    await arweave.transactions.post(transaction)
    return transaction.id
  }

  /** Blocks on top of a transaction, its own included. */
  async confirmations(transaction: string): Promise<number> {
    const answer = await fetch(`${this.gateway}/tx/${transaction}/status`)
    if (answer.status !== 200) return 0
    return ((await answer.json()) as { number_of_confirmations: number }).number_of_confirmations
  }

  async stop(): Promise<void> {
    for (const node of this.#nodes.reverse()) await node.stop()
    await this.#devnet.stop()
    if (this.#testnet !== undefined) await runCli(['testnet', 'down', '--dir', this.#testnetDir])
    await rm(this.#dir, { recursive: true, force: true })
  }

  async #start(layout: Layout): Promise<void> {
    if (layout === 'testnet') await this.#startTestnet()
    else await this.#devnet.start()
    await fetch(`${this.gateway}/mint/${this.wallet.signer.address}/1000000000000000`)
    if (layout === 'whole') await this.#startWhole()
    if (layout === 'split') await this.#startSplit()
    const others = this.#nodes.length
    await eventually(
      'the nodes know each other',
      async () => (await Promise.all(this.#nodes.map(node => node.status()))).every(({ units }) => units === others),
      20_000,
    )
    this.#modules = await this.#publishModules()
  }

  async #startWhole(): Promise<void> {
    const whole = doorOf(await this.#startNode(['MU', 'SU', 'CU']))
    const forwarder = doorOf(await this.#startNode([]))
    this.#units.set('a node with all roles', { MU: whole, SU: whole, CU: whole })
    this.#units.set('a node that only forwards', { MU: forwarder, SU: forwarder, CU: forwarder })
  }

  async #startSplit(): Promise<void> {
    const SU = doorOf(await this.#startNode(['SU']))
    const CU = doorOf(await this.#startNode(['CU']))
    const MU = doorOf(await this.#startNode(['MU']))
    this.#units.set('an MU, an SU and a CU', { MU, SU, CU })
  }

  async #startTestnet(): Promise<void> {
    const args = ['testnet', 'up', '--detach', '--dir', this.#testnetDir, '--block-ms', '300']
    const { code, out, error } = await runCli(args, { timeoutMs: 100_000 })
    this.#testnet = readState(this.#testnetDir)
    if (code !== 0 || this.#testnet === undefined) throw new Error(`no testnet: ${out}${error}`)
    const { nodes } = this.#testnet
    const door = (role: UnitRole): UnitDoor => {
      const node = nodes.find(({ roles }) => roles.join() === role)
      if (node === undefined) throw new TypeError(`the testnet has no node that is only ${role}`)
      return { httpUrl: nodeUrl(node), address: node.address }
    }
    this.#units.set("the testnet's MU, SU and CU", { MU: door('MU'), SU: door('SU'), CU: door('CU') })
  }

  #anyUnits(): Units {
    const [units] = this.#units.values()
    if (units === undefined) throw new TypeError('the network is not started')
    return units
  }

  /** It joins at the first. */
  async #startNode(roles: readonly UnitRole[]): Promise<AoNode> {
    const bootstrap = ((await this.#nodes[0]?.status())?.['multiaddrs'] ?? []) as readonly string[]
    const dataDir = join(this.#dir, String(this.#nodes.length))
    const keyFile = join(dataDir, 'key.json')
    createKey(keyFile, 'ed25519')
    const arweaveWallet = join(this.#dir, 'wallet.json')
    const flags = { dataDir, roles, bootstrap, arweaveUrl: this.gateway, arweaveWallet, logLevel: 'error' }
    const node = createNode(loadConfig({ flags: { ...flags, computeWorkers: 1, settleEveryMs: 500 } }), {
      version: 'test',
      keyFile,
    })
    this.#nodes.push(node)
    await node.start()
    return node
  }

  async #publishModules(): Promise<{ echo: ModuleId; aos: ModuleId }> {
    const arweave = new GatewayClient(silentTelemetry, { gatewayUrl: this.gateway })
    const { signer } = this.wallet
    const aos = await aosModule()
    return {
      echo: await publishModule({ bytes: echoModule(), format: echoFormat, name: 'echo' }, { arweave, signer }),
      aos: await publishModule({ bytes: aos.bytes, format: aos.format, name: 'aos' }, { arweave, signer }),
    }
  }
}

const doorOf = (node: AoNode): UnitDoor => ({ httpUrl: node.httpUrl, address: node.record().address })

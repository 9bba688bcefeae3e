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
import { eventually } from '../support/eventually.ts'
import { aosModule } from '../support/modules/aos.ts'

/** Through which nodes a client speaks. */
export type Door = 'a node with all roles' | 'a node that only forwards' | 'an MU, an SU and a CU'

/** Which nodes there are, and with that the doors. */
export const layouts = {
  whole: ['a node with all roles', 'a node that only forwards'],
  split: ['an MU, an SU and a CU'],
} as const satisfies Record<string, readonly Door[]>
export type Layout = keyof typeof layouts

/** Who answers for each unit. */
export type Units = Readonly<Record<UnitRole, AoNode>>

/**
 * An Arweave, and either a node with all roles and one with none, or three with one role each, in this program and over
 * real sockets. Evaluation runs in worker threads, so this works compiled only.
 */
export class LocalNetwork {
  readonly #dir: string
  readonly #devnet: Devnet
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

  get gateway(): string {
    return this.#devnet.url
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
    return this.#anyUnits().SU.record().address
  }

  /** Of the one MU: what a Process that is to believe pushed messages names. */
  get authority(): Address {
    return this.#anyUnits().MU.record().address
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
  node(door: Door): AoNode {
    return this.units(door).MU
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
    await rm(this.#dir, { recursive: true, force: true })
  }

  async #start(layout: Layout): Promise<void> {
    await this.#devnet.start()
    await fetch(`${this.gateway}/mint/${this.wallet.signer.address}/1000000000000000`)
    await (layout === 'whole' ? this.#startWhole() : this.#startSplit())
    const others = this.#nodes.length
    await eventually(
      'the nodes know each other',
      async () => (await Promise.all(this.#nodes.map(node => node.status()))).every(({ units }) => units === others),
      20_000,
    )
    this.#modules = await this.#publishModules()
  }

  async #startWhole(): Promise<void> {
    const whole = await this.#startNode(['MU', 'SU', 'CU'])
    const forwarder = await this.#startNode([])
    this.#units.set('a node with all roles', { MU: whole, SU: whole, CU: whole })
    this.#units.set('a node that only forwards', { MU: forwarder, SU: forwarder, CU: forwarder })
  }

  async #startSplit(): Promise<void> {
    const [SU, CU, MU] = [await this.#startNode(['SU']), await this.#startNode(['CU']), await this.#startNode(['MU'])]
    this.#units.set('an MU, an SU and a CU', { MU, SU, CU })
  }

  #anyUnits(): Units {
    return this.units(this.#units.has('an MU, an SU and a CU') ? 'an MU, an SU and a CU' : 'a node with all roles')
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

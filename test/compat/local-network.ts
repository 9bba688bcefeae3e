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

/** Through which node a client speaks. */
export type Door = 'a node with all roles' | 'a node that only forwards'
export const doors: readonly Door[] = ['a node with all roles', 'a node that only forwards']

/**
 * An Arweave, a node with all roles and one with none, in this program and over real sockets.
 * Evaluation runs in worker threads, so this works compiled only.
 */
export class LocalNetwork {
  readonly #dir: string
  readonly #devnet: Devnet
  readonly #nodes = new Map<Door, AoNode>()
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

  static async start(): Promise<LocalNetwork> {
    const network = new LocalNetwork(await mkdtemp(join(tmpdir(), 'aonet-compat-')))
    try {
      await network.#start()
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

  /** Of the one node that is MU, SU and CU. */
  get address(): Address {
    return this.node(doors[0] ?? 'a node with all roles').record().address
  }

  node(door: Door): AoNode {
    const node = this.#nodes.get(door)
    if (node === undefined) throw new TypeError('the network is not started')
    return node
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
    for (const node of [...this.#nodes.values()].reverse()) await node.stop()
    await this.#devnet.stop()
    await rm(this.#dir, { recursive: true, force: true })
  }

  async #start(): Promise<void> {
    await this.#devnet.start()
    await fetch(`${this.gateway}/mint/${this.wallet.signer.address}/1000000000000000`)
    const whole = await this.#startNode('a node with all roles', ['MU', 'SU', 'CU'], [])
    const joinAt = (await whole.status())['multiaddrs'] as readonly string[]
    const forwarder = await this.#startNode('a node that only forwards', [], joinAt)
    await eventually(
      'the nodes know each other',
      async () => (await forwarder.status())['units'] === 2 && (await whole.status())['units'] === 2,
      20_000,
    )
    this.#modules = await this.#publishModules()
  }

  async #startNode(door: Door, roles: readonly UnitRole[], bootstrap: readonly string[]): Promise<AoNode> {
    const dataDir = join(this.#dir, String(this.#nodes.size))
    const keyFile = join(dataDir, 'key.json')
    createKey(keyFile, 'ed25519')
    const arweaveWallet = join(this.#dir, 'wallet.json')
    const flags = { dataDir, roles, bootstrap, arweaveUrl: this.gateway, arweaveWallet, logLevel: 'error' }
    const node = createNode(loadConfig({ flags: { ...flags, computeWorkers: 1, settleEveryMs: 500 } }), {
      version: 'test',
      keyFile,
    })
    this.#nodes.set(door, node)
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

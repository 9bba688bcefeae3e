import type { FastifyInstance } from 'fastify'
import { type AbortOptions, throwIfAborted } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import type { Component } from '../lib/component.ts'
import { AoError } from '../lib/errors.ts'
import type { Telemetry } from '../lib/telemetry.ts'
import { Catalog } from './catalog.ts'
import { Chain } from './chain.ts'
import { Intake } from './intake.ts'
import { gatewayServer } from './rest.ts'
import { ShiftedClock } from './shifted-clock.ts'
import { Store } from './store.ts'

export interface DevnetOptions {
  readonly dataDir: string
  readonly host: string
  /** 0 takes any free port; see `url`. */
  readonly port: number
  /** Milliseconds between blocks; 0 mines only when asked at `/mine`. */
  readonly blockMs: number
  /** Height of the first block of a new directory; below 1,440,000 reference CUs skip the check of hash chains. */
  readonly startHeight?: number | undefined
  /** Name of the network, which stays with the directory. */
  readonly network: string
}

const defaultStartHeight = 1_500_000

/** An Arweave of one's own: node, bundler and gateway behind one port, durable in one directory. */
export class Devnet implements Component {
  readonly name = 'devnet'
  readonly #deps: Telemetry & { readonly clock: Clock }
  readonly #options: DevnetOptions
  #running: Running | undefined

  constructor(deps: Telemetry & { readonly clock: Clock }, options: DevnetOptions) {
    this.#deps = deps
    this.#options = options
    deps.metrics.gauge(
      'aonet_devnet_height',
      'Height of the newest block.',
      () => this.#running?.chain.head.height ?? 0,
    )
  }

  /** Without a slash at the end. @throws AoError `NOT_READY` before `start`. */
  get url(): string {
    if (this.#running === undefined) throw new AoError('NOT_READY', 'the devnet has not been started')
    return this.#running.url
  }

  /** @throws AoError `STORE_LOCKED` | `STORE_CORRUPT` | `INVALID_CONFIG` | `PORT_IN_USE` */
  async start({ signal }: AbortOptions = {}): Promise<void> {
    if (this.#running !== undefined) return
    throwIfAborted(signal)
    const { log } = this.#deps
    const { dataDir, network, startHeight = defaultStartHeight } = this.#options
    const store = await Store.open(dataDir)
    try {
      const clock = await ShiftedClock.load(this.#deps.clock, store)
      const chain = await Chain.load(store, clock, { network, startHeight })
      const intake = new Intake(this.#deps, store, chain)
      await intake.resume()
      const app = await gatewayServer(this.#deps, { clock, chain, intake, catalog: new Catalog(store, chain) })
      const url = await this.#listen(app)
      const miner = this.#mineOnTimer(intake)
      this.#running = { store, chain, intake, app, url, miner }
      log.info('devnet_started', { url, network, height: chain.head.height })
    } catch (error) {
      await store.close()
      throw error
    }
  }

  async stop(): Promise<void> {
    const running = this.#running
    if (running === undefined) return
    this.#running = undefined
    const { miner, app, intake, store } = running
    miner.stop()
    await app.close()
    await intake.close()
    await store.close()
    this.#deps.log.info('devnet_stopped')
  }

  async #listen(app: FastifyInstance): Promise<string> {
    const { host, port } = this.#options
    try {
      return await app.listen({ host, port })
    } catch (cause) {
      await app.close()
      const inUse = cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE'
      throw inUse
        ? new AoError('PORT_IN_USE', 'the port of the devnet is taken', { host, port }, { cause, hint: otherPort })
        : new AoError('INVALID_CONFIG', 'the devnet cannot listen there', { host, port }, { cause, hint: otherPort })
    }
  }

  /** One block after the other, so a slow disk makes slow blocks and never a queue of them. */
  #mineOnTimer(intake: Intake): { stop(): void } {
    const { blockMs } = this.#options
    if (blockMs === 0) return { stop: () => undefined }
    let stopped = false
    let timer: NodeJS.Timeout
    const next = (): void => {
      timer = setTimeout(async () => {
        await intake.mine().catch(error => {
          if (!stopped) this.#deps.log.error('devnet_mining_failed', { cause: error })
        })
        if (!stopped) next()
      }, blockMs)
    }
    next()
    return {
      stop: () => {
        stopped = true
        clearTimeout(timer)
      },
    }
  }
}

interface Running {
  readonly store: Store
  readonly chain: Chain
  readonly intake: Intake
  readonly app: FastifyInstance
  readonly url: string
  readonly miner: { stop(): void }
}

const otherPort = 'Choose another port for the devnet, or 0 for any free one.'

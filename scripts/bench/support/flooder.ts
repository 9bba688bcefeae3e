import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** One flood, and what honest callers do meanwhile. */
export interface Siege {
  readonly name: string
  /** A peer that nobody has met. */
  readonly prepare: () => Promise<Flooder>
  /** Resolves when one honest message has been heard, or answered. */
  readonly honest: () => Promise<void>
}

/** What a flooder is told to prepare. */
export type FloodPlan =
  | {
      readonly kind: 'gossip'
      readonly name: string
      readonly topic: string
      readonly multiaddr: string
      readonly perSecond: number
    }
  | {
      readonly kind: 'grpc'
      readonly port: number
      readonly certificate: string
      readonly paths: readonly string[]
      readonly perSecond: number
    }

export type FloodOrder =
  | { readonly order: 'flood'; readonly ms: number }
  | { readonly order: 'burn'; readonly ms: number; readonly cpuMs: number }

export interface FloodReport {
  /** CPU that it took to send. */
  readonly cpuMs: number
  readonly count: number
}

/** A peer in a process of its own that floods, or only burns CPU, as it is told. */
export class Flooder {
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  static async prepare(plan: FloodPlan): Promise<Flooder> {
    const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
    const file = fileURLToPath(new URL(`./flood-child.${ending}`, import.meta.url))
    const child = fork(file, [JSON.stringify(plan)], { stdio: ['ignore', 2, 2, 'ipc'] })
    await once(child, 'message')
    return new Flooder(child)
  }

  flood(ms: number): Promise<FloodReport> {
    return this.#do({ order: 'flood', ms })
  }

  burn(ms: number, cpuMs: number): Promise<FloodReport> {
    return this.#do({ order: 'burn', ms, cpuMs })
  }

  async stop(): Promise<void> {
    this.#child.disconnect()
    if (this.#child.exitCode === null) await once(this.#child, 'exit')
  }

  async #do(order: FloodOrder): Promise<FloodReport> {
    const told = once(this.#child, 'message')
    this.#child.send(order)
    return (await told)[0] as FloodReport
  }
}

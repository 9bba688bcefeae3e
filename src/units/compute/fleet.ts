import { throwIfAborted } from '../../lib/abort.ts'
import type { Counter, Telemetry } from '../../lib/telemetry.ts'
import type { ProcessId } from '../../protocol/ids.ts'
import type { Room, Sleeper } from './room.ts'

export interface FleetOptions {
  /** Live instances at once. */
  readonly maxLive: number
  /** Memory that live instances may keep resident, by estimate, in bytes. A single larger one is let in alone. */
  readonly maxLiveBytes: number
}

interface Berth<R> {
  readonly replica: R
  users: number
}

/** What an instance is taken for before it has said how large it is. */
const expectedBytes = 4 << 20

/**
 * The Processes that are awake on this CU, as many as its memory allows. The one used longest ago makes room for another:
 * its state goes into a checkpoint and nothing of it stays in memory, so there is no limit to those asleep.
 *
 * Invariant: an instance that is at work is never put to sleep; who needs room waits until one is idle.
 */
export class Fleet<R extends Sleeper> implements Room {
  readonly #make: (process: ProcessId) => R
  readonly #options: FleetOptions
  /** The one used longest ago first. */
  readonly #berths = new Map<ProcessId, Berth<R>>()
  readonly #bytes = new Map<Sleeper, number>()
  readonly #slept: Counter
  #total = 0
  #trimming = false
  #waiting: (() => void)[] = []

  constructor(make: (process: ProcessId) => R, { metrics }: Telemetry, options: FleetOptions) {
    this.#make = make
    this.#options = options
    this.#slept = metrics.counter('aonet_compute_put_to_sleep_total', 'Live instances that made room for others')
    metrics.gauge('aonet_compute_replicas', 'Processes awake or at work on this CU', () => this.#berths.size)
    metrics.gauge('aonet_compute_live', 'Processes with a live instance', () => this.#bytes.size)
    metrics.gauge('aonet_compute_live_bytes', 'Memory of live instances, by estimate', () => this.#total)
    metrics.gauge('aonet_compute_waiting_for_room', 'Processes that wait for memory', () => this.#waiting.length)
  }

  get live(): number {
    return this.#bytes.size
  }

  get liveBytes(): number {
    return this.#total
  }

  get size(): number {
    return this.#berths.size
  }

  /** A Replica that is there already; does not count as use. */
  peek(process: ProcessId): R | undefined {
    return this.#berths.get(process)?.replica
  }

  /** Those that have a state to go on from, used last first. */
  warm(limit: number): readonly ProcessId[] {
    return [...this.#berths.values()]
      .filter(({ replica }) => replica.warmAt !== undefined)
      .slice(-limit)
      .map(({ replica }) => replica.process)
      .reverse()
  }

  async use<T>(process: ProcessId, work: (replica: R) => Promise<T>): Promise<T> {
    const berth = this.#berths.get(process) ?? { replica: this.#make(process), users: 0 }
    this.#berths.delete(process)
    this.#berths.set(process, berth)
    berth.users++
    try {
      return await work(berth.replica)
    } finally {
      berth.users--
      this.#forgetIfUnused(berth)
    }
  }

  /** Ends all of them, each with a checkpoint if that is worth it. The signal of those that wait has fired by now. */
  async stop(): Promise<void> {
    this.#wake()
    const replicas = [...this.#berths.values()].map(({ replica }) => replica)
    await Promise.all(replicas.map(replica => replica.close()))
    this.#berths.clear()
  }

  async take(owner: Sleeper, signal: AbortSignal): Promise<void> {
    while (!this.#fits(this.#expected())) {
      throwIfAborted(signal)
      const victim = this.#sleepiest()
      if (victim !== undefined) await this.#putToSleep(victim)
      else await new Promise<void>(resolve => this.#waiting.push(resolve))
    }
    this.#set(owner, this.#expected())
  }

  resize(owner: Sleeper, bytes: number): void {
    if (!this.#bytes.has(owner)) return
    this.#set(owner, bytes)
    if (!this.#fits(0) && !this.#trimming) void this.#trim(owner)
  }

  give(owner: Sleeper): void {
    this.#set(owner, undefined)
    this.#wake()
  }

  idle(owner: Sleeper): void {
    const berth = this.#berths.get(owner.process)
    if (berth !== undefined) this.#forgetIfUnused(berth)
    this.#wake()
  }

  #fits(more: number): boolean {
    const { maxLive, maxLiveBytes } = this.#options
    const count = this.#bytes.size + (more === 0 ? 0 : 1)
    return count <= 1 || (count <= maxLive && this.#total + more <= maxLiveBytes)
  }

  #expected(): number {
    return this.#bytes.size === 0 ? expectedBytes : Math.ceil(this.#total / this.#bytes.size)
  }

  async #trim(spared: Sleeper): Promise<void> {
    this.#trimming = true
    try {
      for (;;) {
        const victim = this.#fits(0) ? undefined : this.#sleepiest(spared)
        if (victim === undefined) return
        await this.#putToSleep(victim)
      }
    } finally {
      this.#trimming = false
    }
  }

  #sleepiest(spared?: Sleeper): Sleeper | undefined {
    for (const { replica } of this.#berths.values()) {
      if (replica !== spared && replica.canSleep) return replica
    }
    return undefined
  }

  async #putToSleep(replica: Sleeper): Promise<void> {
    this.#slept.add()
    await replica.sleep()
    const berth = this.#berths.get(replica.process)
    if (berth !== undefined) this.#forgetIfUnused(berth)
  }

  #forgetIfUnused({ replica, users }: Berth<R>): void {
    if (users === 0 && replica.isEmpty) this.#berths.delete(replica.process)
  }

  #set(owner: Sleeper, bytes: number | undefined): void {
    this.#total += (bytes ?? 0) - (this.#bytes.get(owner) ?? 0)
    if (bytes === undefined) this.#bytes.delete(owner)
    else this.#bytes.set(owner, bytes)
  }

  #wake(): void {
    for (const resume of this.#waiting.splice(0)) resume()
  }
}

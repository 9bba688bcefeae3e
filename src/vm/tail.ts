import type { VmMessage } from '../ports/vm.ts'

/** A base is taken anew when evaluating the tail again would take longer than this, or so many times what a base costs. */
const costlyMs = 100
const costlyFactor = 16
/** Messages are kept whole. */
const costlyBytes = 4 << 20

export interface Applied {
  readonly message: VmMessage
  readonly gasUsed: bigint
}

/** The messages that lead from the last image of a Process to its state. */
export class Tail {
  readonly #applied: Applied[] = []
  #ms = 0
  #bytes = 0
  #baseMs = 0

  get applied(): readonly Applied[] {
    return this.#applied
  }

  get length(): number {
    return this.#applied.length
  }

  get isCostly(): boolean {
    return this.#ms > Math.max(costlyMs, costlyFactor * this.#baseMs) || this.#bytes > costlyBytes
  }

  /** @param ms what evaluating it took. */
  add(applied: Applied, ms: number): void {
    this.#applied.push(applied)
    this.#ms += ms
    this.#bytes += sizeOf(applied.message)
  }

  /** @param baseMs what the image took that replaces them. */
  clear(baseMs: number): void {
    this.#applied.length = 0
    this.#ms = 0
    this.#bytes = 0
    this.#baseMs = baseMs
  }
}

/** Data is what makes messages large. */
const sizeOf = ({ Data }: VmMessage): number => (typeof Data === 'string' ? Data.length : 0)

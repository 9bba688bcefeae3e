import type { BinaryReader } from './binary-reader.ts'
import { type ModuleFacts, typeAt } from './module-sections.ts'
import { blockVoid, valueType } from './opcodes.ts'
import { refusal } from './refusal.ts'

/** Which blocks the scanner is in, and how high the operand stack of values is. Never too low where code can run. */
export class ControlStack {
  readonly #bases: number[] = []
  readonly #params: number[] = []
  readonly #results: number[] = []
  height = 0
  /** The highest it was. */
  top = 0

  /** Begins a function: its own block gives nothing that counts. */
  reset(): void {
    this.#bases.length = 0
    this.#params.length = 0
    this.#results.length = 0
    this.height = 0
    this.top = 0
    this.#push(0, 0)
  }

  get empty(): boolean {
    return this.#bases.length === 0
  }

  /** Takes `down` values and gives `up`. */
  change(down: number, up: number): void {
    this.height += up - down
    if (this.height > this.top) this.top = this.height
  }

  /** Reads the type of a block and goes into it. */
  enter(reader: BinaryReader, facts: ModuleFacts): void {
    const byte = reader.peek()
    const oneValue = (byte >= valueType.v128 && byte <= valueType.i32) || references.includes(byte)
    if (byte === blockVoid || oneValue) {
      reader.skip(1)
      this.#push(0, oneValue ? 1 : 0)
      return
    }
    const index = reader.u32()
    // The sign bit: a value type, of a kind or length that we do not know.
    if (((reader.bytes[reader.at - 1] ?? 0) & 0x40) !== 0) {
      throw refusal('unknown-type', 'a block has a type that is not metered', { type: byte })
    }
    const type = typeAt(facts, index)
    this.#push(type.params.length, type.results.length)
  }

  /** At `else` and `catch`: back to the foot of the block, with so many values on it. */
  restart(values: number | 'params'): void {
    const last = this.#bases.length - 1
    const base = this.#bases[last] ?? 0
    this.height = base
    this.change(0, values === 'params' ? (this.#params[last] ?? 0) : values)
  }

  /** At `end` and `delegate`. */
  leave(): void {
    if (this.empty) throw refusal('invalid', 'a function ends more blocks than it has')
    this.height = this.#bases.pop() ?? 0
    this.#params.pop()
    this.change(0, this.#results.pop() ?? 0)
  }

  #push(params: number, results: number): void {
    this.#bases.push(this.height - params)
    this.#params.push(params)
    this.#results.push(results)
  }
}

const references: readonly number[] = [valueType.funcref, valueType.externref]

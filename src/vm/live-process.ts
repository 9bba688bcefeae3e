import { AoError } from '../lib/errors.ts'
import type { Step, VmEnvironment, VmImage, VmMessage } from '../ports/vm.ts'
import { type Evaluation, parseEvaluation } from '../protocol/result.ts'
import { applyImage, Image, notThisState } from './image.ts'
import type { Answer, Machine, PreparedModule } from './machine.ts'

export interface LiveSetup {
  readonly environment: VmEnvironment
  /** For one message. */
  readonly gas: bigint
  readonly image?: VmImage | undefined
}

/**
 * One Process on a live instance, whatever its format: a message changes the memory in place instead of copying it.
 *
 * Invariant: between calls the state is `#image`. A message that fails, and every dry-run, is undone by copying back the
 * pages that differ; an instance that trapped or grew is thrown away, for neither can be undone in place.
 *
 * A state root is due after every message, so the image is always of now and there is no tail to replay.
 */
export class LiveProcess {
  readonly #module: PreparedModule
  readonly #environment: VmEnvironment
  /** For one message. */
  readonly #gas: bigint
  #machine: Machine | undefined
  readonly #image: Image
  #applied: number

  private constructor(module: PreparedModule, setup: LiveSetup, machine: Machine) {
    this.#module = module
    this.#environment = setup.environment
    this.#gas = setup.gas
    this.#machine = machine
    this.#image = new Image(machine)
    this.#applied = setup.image?.applied ?? 0
  }

  /** @throws AoError `UNSUPPORTED_MODULE`, or `STORE_CORRUPT` if the image is not what it says. */
  static async open(module: PreparedModule, setup: LiveSetup): Promise<LiveProcess> {
    const { environment, image } = setup
    const machine = await module.instantiate(environment, image?.memoryBytes)
    if (image === undefined) return new LiveProcess(module, setup, machine)
    applyImage(machine, image)
    const live = new LiveProcess(module, setup, machine)
    if (live.#image.root === image.stateRoot) return live
    throw notThisState('the image is not what its state root says')
  }

  snapshot(): VmImage {
    return { ...this.#image.copy(), applied: this.#applied, counters: {} }
  }

  /** @throws AoError `NOT_READY` if the host is at its end; the state is then as before. */
  async handle(message: VmMessage): Promise<Step> {
    const { machine, answer } = await this.#call(message)
    const evaluation = parseEvaluation(answer.response, answer.gasUsed)
    if (answer.trapped || evaluation.error !== undefined) this.#undo(machine, answer)
    else this.#image.capture(machine)
    this.#applied++
    return { evaluation, stateRoot: this.#image.root, applied: this.#applied }
  }

  /** @throws AoError `NOT_READY` as `handle`. */
  async dryRun(message: VmMessage): Promise<Evaluation> {
    const { machine, answer } = await this.#call(message)
    this.#undo(machine, answer)
    return parseEvaluation(answer.response, answer.gasUsed)
  }

  async #call(message: VmMessage): Promise<{ machine: Machine; answer: Answer }> {
    try {
      this.#machine ??= await this.#reopen()
      return { machine: this.#machine, answer: await this.#machine.call(message, this.#gas) }
    } catch (error) {
      this.#machine = undefined // nothing is known of its memory
      throw AoError.from(error)
    }
  }

  async #reopen(): Promise<Machine> {
    const machine = await this.#module.instantiate(this.#environment, this.#image.memoryBytes)
    this.#image.restore(machine)
    return machine
  }

  // A trap leaves the stack pointer and other hidden globals where they were; a memory never shrinks.
  #undo(machine: Machine, { trapped }: Answer): void {
    if (trapped || machine.memory.buffer.byteLength !== this.#image.memoryBytes) this.#machine = undefined
    else this.#image.restore(machine)
  }
}

import { AoError } from '../lib/errors.ts'
import type { BootItem, Step, VmEnvironment, VmImage, VmMessage } from '../ports/vm.ts'
import type { Nonce } from '../protocol/ids.ts'
import { type Evaluation, parseEvaluation } from '../protocol/result.ts'
import { isRootDue, noRoots, parseRootProgress, type RootProgress, rootProgressToJson } from '../protocol/root-rule.ts'
import { applyImage, Image, notThisState } from './image.ts'
import type { Answer, Machine, PreparedModule } from './machine.ts'
import type { SpareInstance } from './spare.ts'
import { Tail } from './tail.ts'
import { pageBytes } from './wasm-binary.ts'

export interface LiveSetup {
  readonly environment: VmEnvironment
  /** For one message. */
  readonly gas: bigint
  readonly image?: VmImage | undefined
  /** Where its instance comes from and goes to, if that is worth it. */
  readonly spare?: SpareInstance | undefined
}

/** Tables, stacks and glue of one instance, code excepted, which is shared. */
const instanceBytes = 512 << 10

/**
 * One Process on a live instance, whatever its format: a message changes the memory in place instead of copying it.
 *
 * Invariant: between calls the state is `#base` and then the messages of `#tail`, in their order. A message that fails, and
 * every dry-run, is undone by copying back the pages of the base that differ and evaluating the tail again; an instance
 * that grew, or whose host's side of it stopped, is thrown away first: neither can be undone in place. The base is taken
 * anew whenever a state root is due, which bounds the tail, and whenever an undoing would become, or has been, more
 * costly than that.
 */
export class LiveProcess {
  readonly #module: PreparedModule
  readonly #environment: VmEnvironment
  /** For one message. */
  readonly #gas: bigint
  #machine: Machine | undefined
  readonly #base: Image
  readonly #tail = new Tail()
  #applied: number
  #roots: RootProgress

  readonly #spare: SpareInstance | undefined

  private constructor(module: PreparedModule, setup: LiveSetup, machine: Machine) {
    this.#module = module
    this.#environment = setup.environment
    this.#gas = setup.gas
    this.#machine = machine
    this.#spare = setup.spare
    this.#base = new Image(machine, setup.image?.pages)
    this.#applied = setup.image?.applied ?? 0
    this.#roots = setup.image === undefined ? noRoots : parseRootProgress(setup.image.counters)
  }

  /** @throws AoError `UNSUPPORTED_MODULE`, or `STORE_CORRUPT` if the image is not what it says. */
  static async open(module: PreparedModule, setup: LiveSetup): Promise<LiveProcess> {
    const { environment, image, spare } = setup
    if (image === undefined) return new LiveProcess(module, setup, await module.instantiate(environment))
    const { memoryBytes } = image
    const machine =
      spare?.take(module, environment, memoryBytes) ?? (await module.instantiate(environment, memoryBytes))
    applyImage(machine, image)
    const live = new LiveProcess(module, setup, machine)
    if (live.#base.root === image.stateRoot) return live
    live.close()
    throw notThisState('the image is not what its state root says')
  }

  /**
   * Its state becomes that of an image of the same Process, as if it had been opened with it.
   *
   * @throws AoError as `open`; it is of no more use then.
   */
  async reset(image: VmImage): Promise<void> {
    if (this.#machine?.memory.buffer.byteLength !== image.memoryBytes) {
      this.#machine = await this.#guarded(this.#module.instantiate(this.#environment, image.memoryBytes))
    }
    applyImage(this.#machine, image)
    this.#takeBase(this.#machine)
    if (this.#base.root !== image.stateRoot) throw this.#lost(notThisState('the image is not what its state root says'))
    this.#applied = image.applied
    this.#roots = parseRootProgress(image.counters)
  }

  /** An estimate: the pages that are not zero, what the base has of its own, and what an instance has beside its memory. */
  get residentBytes(): number {
    return this.#base.pageCount * pageBytes + this.#base.ownBytes + instanceBytes
  }

  /** Gives back what it shares with others of its thread. Nothing may be asked of it any more. */
  close(): void {
    if (this.#machine !== undefined) this.#spare?.put(this.#module, this.#machine)
    this.#machine = undefined
    this.#base.release()
  }

  /** @throws AoError `NOT_READY` as `handle`. */
  async snapshot(): Promise<VmImage> {
    await this.#rebase()
    return { ...this.#base.copy(), applied: this.#applied, counters: rootProgressToJson(this.#roots) }
  }

  /** Gas that a message may use where others wait: half of what makes a root due, more than a spawn of aos takes. */
  get slice(): bigint {
    return this.#module.rootRule.everyGas / 2n
  }

  /** @throws AoError `NOT_READY` if the host is at its end; the state is then as before. */
  async handle(message: VmMessage, boot?: BootItem): Promise<Step> {
    return complete(await this.handleWithin(undefined, message, boot))
  }

  /** As `handle`; undefined, and no trace of the message, if it may use more gas than the slice and does. */
  async handleWithin(slice: bigint | undefined, message: VmMessage, boot?: BootItem): Promise<Step | undefined> {
    const start = performance.now()
    const { machine, answer } = await this.#call(message, slice, boot)
    if (answer === undefined) return undefined
    const evaluation = parseEvaluation(answer.response, answer.gasUsed)
    if (evaluation.error !== undefined) await this.#undo(machine, answer)
    else this.#tail.add({ message, gasUsed: evaluation.gasUsed }, performance.now() - start)
    this.#applied++
    await this.#count(evaluation.gasUsed)
    const { root, nonce } = this.#roots
    return { evaluation, stateRoot: root, stateNonce: nonce ?? (0 as Nonce), applied: this.#applied }
  }

  /** @throws AoError `NOT_READY` as `handle`. */
  async dryRun(message: VmMessage): Promise<Evaluation> {
    return complete(await this.dryRunWithin(undefined, message))
  }

  /** As `dryRun`, within a slice as `handleWithin`. */
  async dryRunWithin(slice: bigint | undefined, message: VmMessage): Promise<Evaluation | undefined> {
    await this.#rebase()
    const { machine, answer } = await this.#call(message, slice)
    if (answer === undefined) return undefined
    await this.#undo(machine, answer)
    return parseEvaluation(answer.response, answer.gasUsed)
  }

  async #count(gas: bigint): Promise<void> {
    const { root, nonce, gasSince, messagesSince } = this.#roots
    this.#roots = { root, nonce, gasSince: gasSince + gas, messagesSince: messagesSince + 1 }
    if (isRootDue(this.#module.rootRule, this.#roots)) {
      await this.#rebase()
      this.#roots = { root: this.#base.root, nonce: (this.#applied - 1) as Nonce, gasSince: 0n, messagesSince: 0 }
    } else if (this.#tail.isCostly) await this.#rebase()
  }

  async #call(
    message: VmMessage,
    slice = this.#gas,
    boot?: BootItem,
  ): Promise<{ machine: Machine; answer: Answer | undefined }> {
    const machine = await this.#current()
    const sliced = slice < this.#gas
    const gas = sliced ? slice : this.#gas
    const answer = await this.#guarded(machine.call(message, gas, boot))
    if (!sliced || answer.gasUsed < gas) return { machine, answer }
    await this.#undo(machine, answer)
    return { machine, answer: undefined }
  }

  /** The instance, at the state it should have. */
  async #current(): Promise<Machine> {
    if (this.#machine !== undefined) return this.#machine
    const machine = await this.#guarded(this.#module.instantiate(this.#environment, this.#base.memoryBytes))
    await this.#restore(machine)
    this.#machine = machine
    return machine
  }

  // A memory never shrinks.
  async #undo(machine: Machine, { reusable }: Answer): Promise<void> {
    if (!reusable || machine.memory.buffer.byteLength !== this.#base.memoryBytes) this.#machine = undefined
    else await this.#restore(machine)
  }

  async #restore(machine: Machine): Promise<void> {
    this.#base.restore(machine)
    if (this.#tail.length === 0) return
    for (const { message, gasUsed } of this.#tail.applied) {
      const again = await this.#guarded(machine.call(message, this.#gas))
      if (again.gasUsed !== gasUsed) throw this.#lost(new Error('evaluating a message again took another way'))
    }
    this.#takeBase(machine) // so that the next failure in a row has nothing to evaluate again
  }

  async #rebase(): Promise<void> {
    if (this.#tail.length > 0) this.#takeBase(await this.#current())
  }

  #takeBase(machine: Machine): void {
    const start = performance.now()
    this.#base.capture(machine)
    this.#tail.clear(performance.now() - start)
  }

  async #guarded<T>(work: Promise<T>): Promise<T> {
    try {
      return await work
    } catch (error) {
      throw this.#lost(error)
    }
  }

  /** Nothing is known of the instance's memory any more. */
  #lost(error: unknown): AoError {
    this.#machine = undefined
    return AoError.from(error)
  }
}

function complete<T>(outcome: T | undefined): T {
  if (outcome === undefined) throw new TypeError('a message that may use all its gas is evaluated to its end')
  return outcome
}

import type { LRUCache } from 'lru-cache'
import { type AbortOptions, raceSignal } from '../lib/abort.ts'
import { AoError } from '../lib/errors.ts'
import type { HandleOptions, LiveProcess, ProcessSetup, Step, VmImage, VmMessage, VmUsage } from '../ports/vm.ts'
import type { Evaluation } from '../protocol/result.ts'
import { elsewhere, type Lane } from './lane.ts'
import { type Costed, keyOf, type PrepareOutcome, type WorkerRequest } from './worker-messages.ts'
import type { CallOptions, WorkerSlot } from './worker-slot.ts'

export interface RemoteOptions extends AbortOptions {
  readonly quick: WorkerSlot
  readonly slow: WorkerSlot
  /** What workers have compiled, for the others. */
  readonly codes: LRUCache<string, NonNullable<unknown>>
  /** A number that no instance has had. */
  nextId(): number
  moved(to: Lane): void
  /** Asked when it is to leave its lane; absent: it may. If it may not, the call is refused. */
  mayLeave?(): boolean
}

interface Call {
  request(live: number): WorkerRequest
  /** What the answer says, apart from what it cost. */
  read(answer: unknown): unknown
  readonly options: AbortOptions
  /** Whether a worker has it, or has it waiting. */
  sent: boolean
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

/**
 * A Process as this thread knows it: a worker, and a number that it can resolve as long as it holds the instance.
 *
 * Invariant: calls are evaluated in the order in which they were made. When the worker says that the Process belongs
 * in the other lane, it says so to every call that follows; they wait here until the state has moved, and go there in
 * their order.
 */
export class RemoteProcess implements LiveProcess {
  readonly #setup: ProcessSetup
  readonly #options: RemoteOptions
  readonly #calls: Call[] = []
  #lane: Lane = 'quick'
  #live: number
  #moving = false
  #closed = false
  #usage: VmUsage = { handledMs: 0, residentBytes: 0 }
  #applied: number

  private constructor(setup: ProcessSetup, options: RemoteOptions) {
    this.#setup = { ...setup, image: undefined }
    this.#applied = setup.image?.applied ?? 0
    this.#options = options
    this.#live = options.nextId()
  }

  #hold(slot: WorkerSlot, live: number): void {
    const { lost } = this.#setup
    if (lost !== undefined) slot.onLost(live, lost)
  }

  /** @throws AoError as `VmPool.open`. */
  static async open(setup: ProcessSetup, options: RemoteOptions): Promise<RemoteProcess> {
    const process = new RemoteProcess(setup, options)
    try {
      process.#charge(await openIn(options.quick, process.#live, setup, options))
      process.#hold(options.quick, process.#live)
    } catch (error) {
      await process.close() // an abandoned call may still succeed
      throw error
    }
    return process
  }

  get usage(): VmUsage {
    return this.#usage
  }

  async handle(message: VmMessage, { boot, ...options }: HandleOptions = {}): Promise<Step> {
    const read = (answer: unknown): unknown => this.#charge(answer as Costed<unknown>)
    const step = (await this.#call(live => ({ type: 'handle', live, message, boot }), options, read)) as Step
    this.#applied = step.applied
    return step
  }

  /** How many messages led to its state, as of its last answer. */
  get applied(): number {
    return this.#applied
  }

  /** Its state becomes that of the image, as if it had been opened with it. */
  async reset(image: VmImage): Promise<void> {
    const read = (answer: unknown): unknown => this.#charge(answer as Costed<unknown>)
    await this.#call(live => ({ type: 'reset', live, image }), {}, read)
    this.#applied = image.applied
  }

  async dryRun(message: VmMessage, options: AbortOptions = {}): Promise<Evaluation> {
    this.#slot.assertRoom()
    return (await this.#call(live => ({ type: 'dry-run', live, message }), options)) as Evaluation
  }

  async snapshot(options: AbortOptions = {}): Promise<VmImage> {
    return (await this.#call(live => ({ type: 'snapshot', live }), options)) as VmImage
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#slot.forget(this.#live)
    for (const call of this.#calls) if (!call.sent) call.reject(closed())
  }

  get #slot(): WorkerSlot {
    return this.#options[this.#lane]
  }

  #charge<T>({ value, tookMs, residentBytes }: Costed<T>): T {
    this.#usage = { handledMs: this.#usage.handledMs + tookMs, residentBytes }
    return value
  }

  async #call(request: Call['request'], options: AbortOptions, read: Call['read'] = asIs): Promise<unknown> {
    if (this.#closed) throw closed()
    // Behind a message that was taken none is refused: what comes after it must not be evaluated without it.
    if (this.#calls.length === 0) this.#slot.assertRoom()
    let call: Call | undefined
    const answer = new Promise((resolve, reject) => {
      call = { request, read, options, sent: false, resolve, reject }
      this.#calls.push(call)
      if (!this.#moving) this.#send(call)
    })
    return raceSignal(answer, options).finally(() => {
      const at = this.#calls.indexOf(call as Call)
      if (at >= 0) this.#calls.splice(at, 1)
    })
  }

  #send(call: Call): void {
    call.sent = true
    this.#slot.call(call.request(this.#live), { ...call.options, beyondLimit: true }).then(
      answer => {
        const outcome = call.read(answer)
        if (outcome === elsewhere) this.#putBack(call)
        else call.resolve(outcome)
      },
      error => call.reject(error),
    )
  }

  #putBack(call: Call): void {
    call.sent = false
    if (this.#closed) call.reject(closed())
    else if (this.#moving) return
    else if (this.#options.mayLeave?.() === false) call.reject(crowded())
    else this.#startMoving()
  }

  #startMoving(): void {
    this.#moving = true
    this.#move().then(
      () => this.#sendWaiting(),
      error => this.#rejectWaiting(error),
    )
  }

  /** The worker answers in order: once it has given the state, no call is left there. */
  async #move(): Promise<void> {
    const [from, to]: [Lane, Lane] = this.#lane === 'quick' ? ['quick', 'slow'] : ['slow', 'quick']
    const [old, live] = [this.#live, this.#options.nextId()]
    const image = (await this.#options[from].call({ type: 'snapshot', live: old }, { beyondLimit: true })) as VmImage
    try {
      const opened = await openIn(
        this.#options[to],
        live,
        { ...this.#setup, image },
        { codes: this.#options.codes, beyondLimit: true },
      )
      if (this.#closed) throw closed()
      this.#charge(opened)
    } catch (error) {
      this.#options[to].forget(live)
      throw error
    }
    this.#options[from].forget(old)
    this.#lane = to
    this.#live = live
    this.#hold(this.#options[to], live)
    this.#options.moved(to)
  }

  #sendWaiting(): void {
    this.#moving = false
    for (const call of [...this.#calls]) if (!call.sent) this.#send(call)
  }

  #rejectWaiting(error: unknown): void {
    this.#moving = false
    for (const call of [...this.#calls]) if (!call.sent) call.reject(error)
  }
}

async function openIn(
  slot: WorkerSlot,
  live: number,
  setup: ProcessSetup,
  { codes, signal, beyondLimit = false }: CallOptions & Pick<RemoteOptions, 'codes'>,
): Promise<Costed<undefined>> {
  const { module, format, environment, limits, image } = setup
  const options = { signal, beyondLimit }
  const prepare = async (from: { bytes?: Uint8Array; code?: unknown }): Promise<PrepareOutcome> =>
    (await slot.call({ type: 'prepare', module, format, limits, ...from }, options)) as PrepareOutcome
  // The image can be handed over only once: not before the worker has the module.
  if ((await prepare({})) === 'module-needed') {
    const code = codes.get(keyOf(setup))
    const compiled = await prepare(code === undefined ? { bytes: await setup.loadModule(options) } : { code })
    if (typeof compiled === 'object' && compiled.code) codes.set(keyOf(setup), compiled.code)
  }
  const request = { type: 'open', live, module, format, environment, limits, image } as const
  return (await slot.call(request, options)) as Costed<undefined>
}

const asIs = (answer: unknown): unknown => answer
const crowded = (): AoError =>
  new AoError(
    'OVERLOADED',
    'it takes long, and too many that do are evaluated already',
    {},
    { hint: 'Ask again later.' },
  )
const closed = (): AoError => new AoError('NOT_READY', 'the live instance of the Process is closed')

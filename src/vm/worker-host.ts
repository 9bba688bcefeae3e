import { LRUCache } from 'lru-cache'
import { AoError } from '../lib/errors.ts'
import type { BootItem, VmMessage } from '../ports/vm.ts'
import { aosVm } from './aos-vm.ts'
import { Resident } from './lane.ts'
import { LiveProcess } from './live-process.ts'
import type { PreparedModule, Vm } from './machine.ts'
import { MeteredFiles } from './metered-files.ts'
import { quickJsVm } from './quickjs-vm.ts'
import { SpareInstance } from './spare.ts'
import { threadClock } from './thread.ts'
import { unsupported } from './wasm-binary.ts'
import { wasmVm } from './wasm-vm.ts'
import {
  type Costed,
  keyOf,
  maxModules,
  type PrepareOutcome,
  type WorkerOptions,
  type WorkerRequest,
} from './worker-messages.ts'

const vms: readonly Vm[] = [aosVm, wasmVm, quickJsVm]

/** A worker's live Processes and compiled modules. Each beyond its limit pushes out the one used longest ago. */
export class WorkerHost {
  readonly #live: LRUCache<number, Resident>
  readonly #options: WorkerOptions
  readonly #modules = new LRUCache<string, PreparedModule>({ max: maxModules })
  readonly #spare = new SpareInstance()
  readonly #clock = threadClock()
  readonly #kept: MeteredFiles | undefined

  constructor(options: WorkerOptions) {
    this.#options = options
    this.#kept = options.moduleDirectory === undefined ? undefined : new MeteredFiles(options.moduleDirectory)
    this.#live = new LRUCache({ max: options.maxLive, dispose: ({ live }) => live.close() })
  }

  /** @throws AoError `UNSUPPORTED_MODULE` | `NOT_READY` */
  async answer(request: WorkerRequest): Promise<unknown> {
    switch (request.type) {
      case 'prepare':
        return this.#prepare(request)
      case 'open':
        return this.#open(request)
      case 'handle': {
        const resident = this.#find(request.live)
        return costed(resident.live, () => this.#handle(resident, request.message, request.boot))
      }
      case 'dry-run':
        return this.#dryRun(this.#find(request.live), request.message)
      case 'reset': {
        const { live } = this.#find(request.live)
        return costed(live, () => live.reset(request.image))
      }
      case 'snapshot':
        return this.#find(request.live).live.snapshot()
      case 'close':
        this.#live.delete(request.live)
        return undefined
    }
  }

  #prepare(request: Extract<WorkerRequest, { type: 'prepare' }>): PrepareOutcome {
    const { format, bytes, code, limits } = request
    if (this.#modules.get(keyOf(request)) !== undefined) return undefined
    if (bytes === undefined && code === undefined) return 'module-needed'
    const vm = vmFor(format)
    const kept = this.#kept
    const prepared =
      bytes === undefined ? vm.revive(code, format, limits, kept) : vm.prepare(bytes, format, limits, kept)
    this.#modules.set(keyOf(request), prepared)
    return bytes === undefined ? undefined : { code: prepared.code }
  }

  async #open(request: Extract<WorkerRequest, { type: 'open' }>): Promise<Costed<undefined>> {
    const { live, environment, limits, image } = request
    const prepared = this.#modules.get(keyOf(request))
    if (prepared === undefined) throw dropped('the compiled module was dropped')
    const process = await LiveProcess.open(prepared, { environment, gas: limits.gas, image, spare: this.#spare })
    this.#live.set(live, new Resident(process, this.#options, this.#clock))
    return costed(process, async () => undefined)
  }

  #handle(resident: Resident, message: VmMessage, boot: BootItem | undefined): Promise<unknown> {
    return resident.call(slice => resident.live.handleWithin(slice, message, boot))
  }

  #dryRun(resident: Resident, message: VmMessage): Promise<unknown> {
    return resident.call(slice => resident.live.dryRunWithin(slice, message))
  }

  #find(live: number): Resident {
    const process = this.#live.get(live)
    if (process !== undefined) return process
    throw dropped('the live instance of the Process was dropped')
  }
}

async function costed<T>(live: LiveProcess, work: () => Promise<T>): Promise<Costed<T>> {
  const start = performance.now()
  const value = await work()
  return { value, tookMs: performance.now() - start, residentBytes: live.residentBytes }
}

const dropped = (what: string): AoError =>
  new AoError('NOT_READY', what, {}, { hint: 'Open the Process again and replay.' })

function vmFor(format: string): Vm {
  const vm = vms.find(({ formats }) => formats.includes(format))
  if (vm === undefined) throw unsupported('no virtual machine here takes this Module-Format', { format })
  return vm
}

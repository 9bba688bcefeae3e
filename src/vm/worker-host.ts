import { LRUCache } from 'lru-cache'
import { AoError } from '../lib/errors.ts'
import { aosVm } from './aos-vm.ts'
import { LiveProcess } from './live-process.ts'
import type { PreparedModule, Vm } from './machine.ts'
import { unsupported } from './wasm-binary.ts'
import { wasmVm } from './wasm-vm.ts'
import type { OpenOutcome, WorkerOptions, WorkerRequest } from './worker-messages.ts'

const vms: readonly Vm[] = [aosVm, wasmVm]

/** Compiled modules a worker keeps, a few MB each; most Processes of a network share a handful. */
const maxModules = 16

/** A worker's live Processes and compiled modules. Each beyond its limit pushes out the one used longest ago. */
export class WorkerHost {
  readonly #live: LRUCache<number, LiveProcess>
  readonly #modules = new LRUCache<string, PreparedModule>({ max: maxModules })

  constructor({ maxLive }: WorkerOptions) {
    this.#live = new LRUCache({ max: maxLive })
  }

  /** @throws AoError `UNSUPPORTED_MODULE` | `NOT_READY` */
  async answer(request: WorkerRequest): Promise<unknown> {
    switch (request.type) {
      case 'open':
        return this.#open(request)
      case 'handle':
        return this.#find(request.live).handle(request.message)
      case 'dry-run':
        return this.#find(request.live).dryRun(request.message)
      case 'close':
        this.#live.delete(request.live)
        return undefined
    }
  }

  async #open(request: Extract<WorkerRequest, { type: 'open' }>): Promise<OpenOutcome> {
    const { live, module, format, bytes, environment, limits } = request
    const key = `${module} ${format} ${limits.memoryBytes}`
    let prepared = this.#modules.get(key)
    if (prepared === undefined) {
      if (bytes === undefined) return 'module-needed'
      prepared = vmFor(format).prepare(bytes, format, limits)
      this.#modules.set(key, prepared)
    }
    this.#live.set(live, await LiveProcess.open(prepared, { environment, gas: limits.gas }))
    return 'opened'
  }

  #find(live: number): LiveProcess {
    const process = this.#live.get(live)
    if (process !== undefined) return process
    throw new AoError(
      'NOT_READY',
      'the live instance of the Process was dropped',
      {},
      { hint: 'Open it again and replay.' },
    )
  }
}

function vmFor(format: string): Vm {
  const vm = vms.find(({ formats }) => formats.includes(format))
  if (vm === undefined) throw unsupported('no virtual machine here takes this Module-Format', { format })
  return vm
}

import { AoError } from '../lib/errors.ts'
import type { BootItem, VmEnvironment, VmLimits, VmMessage } from '../ports/vm.ts'
import { type AoHost, aoImports, WeaveDriveRead } from './ao-imports.ts'
import {
  type AoHandle,
  aoLoader,
  type GlueImports,
  glueStops,
  type InstantiateHook,
  noSuspension,
} from './ao-loader.ts'
import { stripAsyncify } from './asyncify/strip.ts'
import { BootFile } from './boot-file.ts'
import { growMemory, instantiate, maxMemoryBytes } from './engine.ts'
import { aosFormats } from './formats.ts'
import { type Answer, type Machine, type PreparedModule, type StateGlobal, trapped, type Vm } from './machine.ts'
import { moduleLimits } from './meter/limits.ts'
import { enableMemory64 } from './meter/memory64.ts'
import { isValid } from './meter/meter.ts'
import type { MeteredFiles } from './metered-files.ts'
import { GasMeter, isLegacyMetering, type MeteredModule, prepareMetered, stateGlobals } from './metered-module.ts'
import { pageBytes, unsupported } from './wasm-binary.ts'

/**
 * Emscripten modules, aos among them, through the AO loader's own hook for ready instances.
 *
 * Memory grows to the next whole step above what is asked for, and nothing else has a say in it: its length, which a
 * module can see and the state root covers, must not depend on how an instance came to be.
 */
export const aosVm: Vm = {
  formats: aosFormats,
  prepare(bytes: Uint8Array, format: string, limits: VmLimits, kept?: MeteredFiles): PreparedModule {
    if (format.startsWith('wasm64')) enableMemory64()
    const options = {
      format,
      limitBytes: mostBytes(limits),
      reduce: (plain: Uint8Array) => atRest(plain, format),
      kept,
    }
    return this.revive(prepareMetered(bytes, options), format, limits)
  },
  revive(code: unknown, format: string, limits: VmLimits): PreparedModule {
    const metered = code as MeteredModule
    const prepared: Prepared = { metered, format: format.replace(/-metering$/, ''), limitBytes: mostBytes(limits) }
    return {
      rootRule: metered.rootRule,
      code,
      instantiate: (environment, memoryBytes = 0) => AosMachine.start(prepared, environment, memoryBytes),
    }
  },
}

const mostBytes = ({ memoryBytes }: VmLimits): number => Math.min(memoryBytes, maxMemoryBytes)

/** Nothing is ever put aside here. The old prices are those of the module as it is, number for number. */
const atRest = (bytes: Uint8Array, format: string): Uint8Array =>
  isLegacyMetering(format) || bytes.length > moduleLimits.moduleBytes || !isValid(bytes) ? bytes : stripAsyncify(bytes)

interface Prepared {
  readonly metered: MeteredModule
  /** As the loader's glue knows it: the plain format, for the meter is ours. */
  readonly format: string
  readonly limitBytes: number
}

/** What a module reads from its clock first, in every message: a value of the stock loader's. Milliseconds. */
const clockStart = 10_000

/**
 * The engine counts each growth as an allocation of the whole memory, and collects garbage for it: page by page, 500 MB
 * would take 20 s.
 */
const growthStepBytes = 4 << 20

/** Gas for what runs before the first message: static constructors, not the Process. */
const startGas = 10_000_000_000n

/** The loader's own gas meter is off: gas is counted inside the module. */
const noComputeLimit = Number.MAX_SAFE_INTEGER

class AosMachine implements Machine, AoHost {
  readonly #prepared: Prepared
  #environment: VmEnvironment
  #instance: WebAssembly.Instance | undefined
  #meter: GasMeter | undefined
  #handle: AoHandle | undefined
  #clock = clockStart
  #wantedBytes = 0
  #memoryRefused = false
  highHalf = 0
  /** Of the message that is being evaluated. */
  bootFile: BootFile | undefined
  /** What the glue would swallow or bury: thrown once it has returned. */
  #failure: unknown

  private constructor(prepared: Prepared, environment: VmEnvironment) {
    this.#prepared = prepared
    this.#environment = environment
  }

  static async start(prepared: Prepared, environment: VmEnvironment, memoryBytes: number): Promise<Machine> {
    const machine = new AosMachine(prepared, environment)
    const { format, limitBytes } = prepared
    const handle = aoLoader()((imports, receive) => machine.#instantiate(imports, receive, memoryBytes), {
      format,
      computeLimit: noComputeLimit,
      memoryLimit: String(limitBytes),
      extensions: [],
      UNSAFE_MEMORY: true,
      thisProgram: 'ao',
    })
    // The hook has run by now. If it failed, some formats never settle their promise.
    if (machine.#failure !== undefined) {
      handle.catch(() => undefined)
      throw AoError.from(machine.#failure)
    }
    try {
      machine.#handle = await handle
    } catch (error) {
      throw machine.#failure === undefined
        ? unsupported('the module traps before its first message', {
            trap: machine.#meter?.trapWord(error, machine.#memoryRefused) ?? 'trap',
          })
        : AoError.from(machine.#failure)
    }
    return machine
  }

  get memory(): WebAssembly.Memory {
    const memory = this.#instance?.exports[memoryName(this.#prepared.format)]
    if (!(memory instanceof WebAssembly.Memory)) throw unsupported('the module does not export its memory')
    return memory
  }

  get globals(): readonly StateGlobal[] {
    return this.#instance === undefined ? [] : stateGlobals(this.#instance.exports, this.#prepared.metered.shape)
  }

  async call(message: VmMessage, gas: bigint, boot?: BootItem): Promise<Answer> {
    if (this.#handle === undefined || this.#meter === undefined) throw new TypeError('the machine has not started')
    this.#clock = clockStart
    this.highHalf = 0
    this.bootFile = boot && new BootFile(boot)
    this.#memoryRefused = false
    this.#meter.fill(gas)
    const answer = await this.#evaluate(message, this.#handle, this.#meter)
    if (this.#failure !== undefined) throw AoError.from(this.#failure)
    return answer
  }

  adopt(environment: VmEnvironment): void {
    this.#environment = environment
  }

  tick(): number {
    return this.#clock++
  }

  resize(memoryBytes: number): boolean {
    const limit = Math.floor(this.#prepared.limitBytes / pageBytes) * pageBytes
    this.#memoryRefused ||= memoryBytes > limit
    this.#wantedBytes = Math.min(limit, Math.ceil(memoryBytes / growthStepBytes) * growthStepBytes)
    return memoryBytes <= limit
  }

  async #evaluate(message: VmMessage, handle: AoHandle, meter: GasMeter): Promise<Answer> {
    const stops = glueStops()
    try {
      const { Memory: _, ...response } = await handle(null, message, this.#environment)
      if (!this.#isAtRest()) return trapped('trap', meter.used, false)
      return { response, reusable: true, gasUsed: meter.used }
    } catch (thrown) {
      // Else the glue may know of it.
      const reusable = thrown instanceof WebAssembly.RuntimeError && glueStops() === stops
      if (meter.spent) return trapped('out of gas', meter.used, reusable)
      if (thrown instanceof WeaveDriveRead) {
        return { response: { Error: thrown.message }, reusable: false, gasUsed: meter.used }
      }
      const fault = thrown instanceof Error || typeof thrown === 'number' // a number: a jump that nobody caught
      if (fault) return trapped(meter.trapWord(thrown, this.#memoryRefused), meter.used, reusable)
      // The module itself said `ok: false`, and this is what it gave as reason.
      const response = { Error: thrown || 'the module gave no reason' }
      return { response, reusable: true, gasUsed: meter.used }
    }
  }

  // A module that is still unwinding has state in its glue.
  #isAtRest(): boolean {
    const state = this.#instance?.exports['asyncify_get_state']
    return typeof state !== 'function' || state() === 0
  }

  #instantiate(imports: GlueImports, receive: Parameters<InstantiateHook>[1], memoryBytes: number): unknown {
    try {
      const { metered } = this.#prepared
      this.#instance = instantiate(metered.module, aoImports(metered.module, imports, this))
      this.#meter = new GasMeter(this.#instance.exports, metered)
      this.#meter.fill(startGas)
      growMemory(this.memory, memoryBytes)
      const memory = { [memoryName(this.#prepared.format)]: this.#memoryStandIn() }
      const { exports: own } = this.#instance
      const exports = { ...own, ...('asyncify_start_unwind' in own ? noSuspension : {}), ...memory }
      return receive({ exports })
    } catch (error) {
      this.#failure = error instanceof AoError ? error : unsupported('the module lacks what its format asks for')
      throw error
    }
  }

  // The glue asks for a fraction of pages, as a number, and up to a fifth too many: the amount is settled here.
  #memoryStandIn(): object {
    const memory = this.memory
    return {
      get buffer(): ArrayBuffer {
        return memory.buffer as ArrayBuffer
      },
      grow: (): void => {
        try {
          growMemory(memory, this.#wantedBytes)
        } catch (error) {
          this.#failure = error
          throw error
        }
      },
    }
  }
}

/** The first emscripten format has short names. */
const memoryName = (format: string): string => (format === aosFormats[0] ? 'E' : 'memory')

import { utf8 } from '../lib/bytes.ts'
import { AoError } from '../lib/errors.ts'
import type { VmEnvironment, VmMessage } from '../ports/vm.ts'
import { growMemory, instantiate } from './engine.ts'
import { type Answer, type Machine, type StateGlobal, type TrapWord, trapped } from './machine.ts'
import { GasMeter, type MeteredModule, stateGlobals } from './metered-module.ts'
import { evalKinds, ModuleThrew, OutOfMemory, QuickJsContext } from './quickjs-context.ts'
import { enginePages, quickJsOf } from './quickjs-engine.ts'
import { type QuickJsHost, quickJsImports } from './quickjs-imports.ts'
import { quickJsPrelude } from './quickjs-prelude.ts'
import { pageBytes, unsupported } from './wasm-binary.ts'

export interface QuickJsModule {
  readonly engine: MeteredModule
  /** UTF-8. */
  readonly source: Uint8Array
  /** Of the whole memory: a whole number of pages. */
  readonly limitBytes: number
}

/** What QuickJS itself may still need at its limit, so that the module gets an `out of memory` that it can catch. */
const reserveBytes = 4 << 20

/** As for the other formats: growth page by page costs the engine a garbage collection each time. */
const growthStepBytes = 4 << 20

/** Gas for everything before the first message: QuickJS, the prelude and the module's own code. */
const bootGas = 10_000_000_000n

/** One QuickJS with one module in it. All its state is in its memory and globals. */
export class QuickJsMachine implements Machine, QuickJsHost {
  readonly memory: WebAssembly.Memory
  readonly globals: readonly StateGlobal[]
  now = 0
  readonly #limitBytes: number
  readonly #meter: GasMeter
  readonly #context: QuickJsContext
  #failure: unknown

  private constructor({ engine, limitBytes }: QuickJsModule) {
    const { initial, maximum } = enginePages
    this.#limitBytes = limitBytes
    this.memory = new WebAssembly.Memory({ initial, maximum: Math.min(maximum, limitBytes / pageBytes) })
    const { exports } = instantiate(engine.module, quickJsImports(this))
    this.globals = stateGlobals(exports, engine.shape)
    this.#meter = new GasMeter(exports, engine)
    this.#meter.fill(bootGas)
    this.#context = new QuickJsContext(quickJsOf(exports), this.memory)
  }

  /** At the state before the first message. @throws AoError `UNSUPPORTED_MODULE` if the module does not get there. */
  static boot(module: QuickJsModule, environment: VmEnvironment): QuickJsMachine {
    const machine = new QuickJsMachine(module)
    const trap = machine.#guarded(() => machine.#boot(module.source, environment))
    if (trap !== undefined) throw unsupported('the module traps before its first message', { trap })
    return machine
  }

  /** With memory of that length, for a state that is about to be written over it. */
  static blank(module: QuickJsModule, memoryBytes: number): QuickJsMachine {
    const machine = new QuickJsMachine(module)
    growMemory(machine.memory, memoryBytes)
    return machine
  }

  async call(message: VmMessage, gas: bigint): Promise<Answer> {
    const { Timestamp: now } = message
    this.now = typeof now === 'number' ? now : 0
    this.#meter.fill(gas)
    let response: unknown
    const trap = this.#guarded(() => {
      response = this.#answer(message)
    })
    const gasUsed = this.#meter.used
    return trap === undefined ? { response, reusable: true, gasUsed } : trapped(trap, gasUsed)
  }

  resize(memoryBytes: number): boolean {
    if (memoryBytes > this.#limitBytes) return false
    try {
      growMemory(this.memory, Math.min(this.#limitBytes, Math.ceil(memoryBytes / growthStepBytes) * growthStepBytes))
      return true
    } catch (error) {
      this.#failure = error // the module must never see that this host has less than its limit
      throw error
    }
  }

  #boot(source: Uint8Array, environment: VmEnvironment): void {
    const context = this.#context
    context.create(this.#limitBytes - reserveBytes)
    context.entry = context.evaluate(utf8(quickJsPrelude), 'prelude.js', evalKinds.script)
    context.free(context.enter(context.string(JSON.stringify(environment))))
    try {
      const kind = parsesAsScript(context, source) ? evalKinds.script : evalKinds.module
      context.free(context.enter(context.evaluate(source, 'module.js', kind)))
    } catch (thrown) {
      if (!(thrown instanceof ModuleThrew)) throw thrown
      throw unsupported('the module fails before its first message', { error: thrown.message.slice(0, 500) })
    }
  }

  #answer(message: VmMessage): unknown {
    const context = this.#context
    try {
      return JSON.parse(context.take(context.enter(context.string(JSON.stringify(message)))))
    } catch (thrown) {
      if (thrown instanceof ModuleThrew) return { Error: thrown.message }
      if (thrown instanceof SyntaxError) return { Error: 'the answer is not JSON' }
      throw thrown
    }
  }

  /** The word for how the work ended early. Gas that ran out on the last stretch counts too. */
  #guarded(work: () => void): TrapWord | undefined {
    try {
      work()
      return this.#meter.spent ? 'out of gas' : undefined
    } catch (thrown) {
      if (this.#failure !== undefined) throw AoError.from(this.#failure)
      if (thrown instanceof AoError) throw thrown
      return thrown instanceof OutOfMemory ? 'out of memory' : this.#meter.trapWord(thrown, false)
    }
  }
}

/** By compiling it only: a source that does not parse has run nothing. */
function parsesAsScript(context: QuickJsContext, source: Uint8Array): boolean {
  try {
    context.free(context.evaluate(source, 'module.js', evalKinds.compileOnly))
    return true
  } catch (thrown) {
    if (thrown instanceof ModuleThrew) return false
    throw thrown
  }
}

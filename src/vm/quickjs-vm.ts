import type { VmLimits } from '../ports/vm.ts'
import { maxMemoryBytes } from './engine.ts'
import { quickJsFormats } from './formats.ts'
import type { PreparedModule, Vm } from './machine.ts'
import type { MeteredFiles } from './metered-files.ts'
import { enginePages, quickJsEngine } from './quickjs-engine.ts'
import { QuickJsMachine } from './quickjs-machine.ts'
import { pageBytes, unsupported } from './wasm-binary.ts'

/**
 * JavaScript, `js-quickjs-1`. The module is one file: a script that leaves a function `handle` or `__module.handle`, or
 * an ES module that exports `handle`. Each message calls `handle(msg, env)`; variables persist and are the state.
 * `src/modules/README.md` tells authors the rest.
 *
 * The name of the format fixes the build of QuickJS, the prelude, the boot sequence, the prices, the depth of calls and
 * the growth of memory together: change one, and it is `js-quickjs-2`.
 */
export const quickJsVm: Vm = {
  formats: quickJsFormats,
  prepare(bytes: Uint8Array, _format: string, limits: VmLimits, kept?: MeteredFiles): PreparedModule {
    const limitBytes = pageBytes * Math.floor(Math.min(limits.memoryBytes, maxMemoryBytes) / pageBytes)
    checkSource(bytes)
    if (limitBytes < leastMemoryBytes) {
      throw unsupported('a JavaScript module needs more memory than the Process may have', {
        neededBytes: leastMemoryBytes,
        limitBytes,
      })
    }
    const module = { engine: quickJsEngine(kept), source: Uint8Array.from(bytes), limitBytes }
    return {
      rootRule: module.engine.rootRule,
      code: module.source,
      instantiate: async (environment, memoryBytes) =>
        memoryBytes === undefined
          ? QuickJsMachine.boot(module, environment)
          : QuickJsMachine.blank(module, memoryBytes),
    }
  },
  revive(code: unknown, format: string, limits: VmLimits, kept?: MeteredFiles): PreparedModule {
    return this.prepare(code as Uint8Array, format, limits, kept) // the engine is each thread's own
  },
}

/** 16 MiB to begin with, and the reserve that QuickJS keeps. */
const leastMemoryBytes = enginePages.initial * pageBytes + (4 << 20)

/** Of the source, in bytes. */
const maxSourceBytes = 4 << 20

function checkSource(bytes: Uint8Array): void {
  if (bytes.length > maxSourceBytes) {
    throw unsupported('the module is too big', { bytes: bytes.length, limit: maxSourceBytes })
  }
  if (bytes.includes(0)) throw unsupported('a JavaScript module is text, and this holds a zero byte')
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw unsupported('a JavaScript module must be UTF-8')
  }
}

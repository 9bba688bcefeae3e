import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { compileFunction } from 'node:vm'
import { UtcDate } from './utc-date.ts'

/** What emscripten hands to `instantiateWasm`, and what it wants to be called back with. */
export interface GlueImports {
  readonly [module: string]: { readonly [name: string]: (...values: never[]) => unknown }
}
export type InstantiateHook = (
  imports: GlueImports,
  receive: (instance: { exports: Record<string, unknown> }) => unknown,
) => unknown

export interface AoLoaderOptions {
  readonly format: string
  readonly computeLimit: number
  readonly memoryLimit: string
  readonly extensions: readonly never[]
  /** Answers with the live memory instead of a copy of it. */
  readonly UNSAFE_MEMORY: true
  readonly thisProgram: string
}
/** `memory` null: evaluate on the state as it is. */
export type AoHandle = (memory: null, message: unknown, environment: unknown) => Promise<Record<string, unknown>>
export type AoLoader = (hook: InstantiateHook, options: AoLoaderOptions) => Promise<AoHandle>

/**
 * The AO loader, cut off from this host: it sees stand-ins where it would reach for the realm's clock, randomness,
 * console, process, files and shell. So what it patches are the stand-ins, and there is nothing to put back.
 *
 * Loads and compiles 1 MB of JavaScript at the first call, hence never on the main thread.
 */
export function aoLoader(): AoLoader {
  loader ??= load()
  return loader
}

let loader: AoLoader | undefined

/** How often the glue of an instance of this thread stopped for good, which it keeps in itself. */
export const glueStops = (): number => stops

let stops = 0
/** The glue makes one when it aborts, and only then. */
const RuntimeError = new Proxy(WebAssembly.RuntimeError, {
  construct(target, args, newTarget) {
    stops++
    return Reflect.construct(target, args, newTarget)
  },
})

const nothing = (): void => undefined

/**
 * The glue rejects the promise of its readiness and throws past whoever was to wait for it. Nobody else hears of such a
 * rejection: unheard, it would end the thread.
 */
const HeardPromise = new Proxy(Promise, {
  construct(target, args, newTarget) {
    const promise: Promise<unknown> = Reflect.construct(target, args, newTarget)
    promise.catch(nothing)
    return promise
  },
})

function load(): AoLoader {
  const path = createRequire(import.meta.url).resolve('@permaweb/ao-loader')
  const module = { exports: {} }
  const globals = { ...standIns(), module, exports: module.exports, require: requireStandIn }
  compileFunction(readFileSync(path, 'utf8'), Object.keys(globals), { filename: path })(...Object.values(globals))
  return module.exports as AoLoader
}

/** A call that the glue would put aside ends the evaluation. */
const suspend = (): never => {
  stops++
  throw new Error('nothing is put aside here')
}
export const noSuspension = { asyncify_start_unwind: suspend, asyncify_start_rewind: suspend }

/** Whatever the loader names globally and would read from this host or write to it. Shadowed as parameters. */
function standIns(): Record<string, unknown> {
  return {
    Date: class extends UtcDate {},
    Math: ownCopy(Math),
    Promise: HeardPromise,
    WebAssembly: Object.assign(ownCopy(WebAssembly), { RuntimeError }),
    console: { log: nothing, warn: nothing, error: nothing },
    performance: { now: () => 0 },
    process: {
      versions: { node: '20.0.0' },
      release: { name: 'node' },
      argv: [],
      on: nothing,
      removeListener: nothing,
      stdin: { fd: -1 },
    },
    globalThis: {},
    navigator: undefined,
    fetch: undefined,
    XMLHttpRequest: undefined,
    setTimeout: undefined,
    setInterval: undefined,
    __filename: '/ao-loader.cjs',
    __dirname: '/',
  }
}

/** The packages the loader asks for, without their powers. `child_process` and `crypto` are not among them. */
function requireStandIn(name: string): unknown {
  if (name === 'fs') return {}
  if (name === 'path') return { dirname: () => '/', normalize: (path: string) => path }
  if (name === 'buffer') return { Buffer }
  throw new Error('not available to a Process')
}

const ownCopy = (original: object): object => Object.defineProperties({}, Object.getOwnPropertyDescriptors(original))

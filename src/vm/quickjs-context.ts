import { toUtf8, utf8 } from '../lib/bytes.ts'
import type { QuickJs } from './quickjs-engine.ts'

/** The code in QuickJS threw, and nothing there caught it. The message is what it threw, as text. */
export class ModuleThrew extends Error {
  override readonly name = 'ModuleThrew'
}

/** QuickJS has no memory left for what the host wants to hand over. */
export class OutOfMemory extends Error {
  override readonly name = 'OutOfMemory'
}

/** A value on the heap of QuickJS. Whoever holds it frees it. */
export type Value = number & { readonly isValue: true }

/** How a source is read; the flags of `JS_Eval`. */
export const evalKinds = { script: 0, module: 1, compileOnly: 32 } as const

/** Base objects, Date, eval, regular expressions, JSON, Proxy, Map and Set, typed arrays, promises, BigInt. */
const intrinsics = 1 | 2 | 4 | 16 | 32 | 64 | 128 | 256 | 512 | 1024 | 2048

/** Of QuickJS's own stack, in bytes: beyond it, code gets a `stack overflow` that it can catch. */
const maxStackBytes = 256 * 1024

/**
 * One context of QuickJS and one function in it, the entry. No object of the host stands for either: where they are is
 * noted in the first block that QuickJS allocates, whose address is the same in every instance. So a state that is
 * written over the memory brings its context along.
 */
export class QuickJsContext {
  readonly #js: QuickJs
  readonly #memory: WebAssembly.Memory
  readonly #notes: number

  constructor(js: QuickJs, memory: WebAssembly.Memory) {
    this.#js = js
    this.#memory = memory
    js.constructors()
    this.#notes = js.malloc(8)
  }

  create(memoryLimitBytes: number): void {
    const runtime = this.#js.newRuntime()
    this.#js.setMemoryLimit(runtime, memoryLimitBytes)
    this.#js.setMaxStackSize(runtime, maxStackBytes)
    this.#view.setUint32(this.#notes, this.#js.newContext(runtime, intrinsics), true)
  }

  set entry(value: Value) {
    this.#view.setUint32(this.#notes + 4, value, true)
  }

  /** @throws ModuleThrew, and whatever ends a metered instance. */
  evaluate(source: Uint8Array, file: string, kind: number): Value {
    const [code, name] = [this.#bytes(source), this.#bytes(utf8(file))]
    const value = this.#js.evaluate(this.#context, code, source.length, name, 0, kind)
    this.#js.free(name)
    this.#js.free(code)
    return this.#checked(value)
  }

  /** Calls the entry with a value, which is freed. @throws as `evaluate` */
  enter(value: Value): Value {
    const args = this.#allocate(4)
    this.#view.setUint32(args, value, true)
    const entry = this.#view.getUint32(this.#notes + 4, true)
    const result = this.#js.call(this.#context, entry, this.#js.getUndefined(), 1, args)
    this.#js.free(args)
    this.free(value)
    return this.#checked(result)
  }

  string(text: string): Value {
    const bytes = this.#bytes(utf8(text))
    const value = this.#js.newString(this.#context, bytes)
    this.#js.free(bytes)
    return this.#checked(value)
  }

  /** The value as text; frees it. */
  take(value: Value): string {
    const text = this.#textOf(value)
    this.free(value)
    if (text === undefined) throw new OutOfMemory()
    return text
  }

  free(value: Value): void {
    this.#js.freeValue(this.#context, value)
  }

  get #context(): number {
    return this.#view.getUint32(this.#notes, true)
  }

  /** Anew each time: growth replaces the buffer. */
  get #view(): DataView {
    return new DataView(this.#memory.buffer)
  }

  #checked(value: number): Value {
    const thrown = this.#js.resolveException(this.#context, value) as Value
    if (thrown === 0) return value as Value
    this.free(value as Value)
    const text = this.#textOf(thrown)
    this.free(thrown)
    throw new ModuleThrew(text ?? 'the module threw something that cannot be shown')
  }

  /** Undefined if it cannot be had: the value's own code may run for it, and fail. */
  #textOf(value: Value): string | undefined {
    const start = this.#js.getString(this.#context, value)
    if (start === 0) return undefined
    const memory = new Uint8Array(this.#memory.buffer)
    const text = toUtf8(memory.subarray(start, memory.indexOf(0, start)))
    this.#js.freeCString(this.#context, start)
    return text
  }

  /** A copy in QuickJS's memory, with a zero after it. */
  #bytes(bytes: Uint8Array): number {
    const start = this.#allocate(bytes.length + 1)
    const memory = new Uint8Array(this.#memory.buffer)
    memory.set(bytes, start)
    memory[start + bytes.length] = 0
    return start
  }

  #allocate(size: number): number {
    const start = this.#js.malloc(size)
    if (start === 0) throw new OutOfMemory()
    return start
  }
}

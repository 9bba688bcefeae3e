import { raceSignal } from '../../src/lib/abort.ts'
import { sha256, toUtf8, utf8 } from '../../src/lib/bytes.ts'
import { AoError } from '../../src/lib/errors.ts'
import { canonicalJson, type Json } from '../../src/lib/json.ts'
import type { LiveProcess, ProcessSetup, Step, VmEnvironment, VmImage, VmMessage, VmPool } from '../../src/ports/vm.ts'
import { idFromBytes, idToBytes, type Nonce } from '../../src/protocol/ids.ts'
import type { Signer } from '../../src/protocol/keys.ts'
import { type Evaluation, parseEvaluation } from '../../src/protocol/result.ts'
import { noRoots, rootProgressToJson } from '../../src/protocol/root-rule.ts'
import { pageHash, statePageBytes, stateRootOf } from '../../src/protocol/state-root.ts'
import { tagsOf } from '../../src/protocol/tags.ts'
import { anItem } from './builders.ts'

/** A Process as a function: what it gives for a message in a state, in AO's own field names. */
export type Script = (
  state: Json,
  message: VmMessage,
  env: VmEnvironment,
) => { readonly state: Json; readonly answer: { readonly [key: string]: unknown } }

export const scriptFormat = 'test-script'

/** A VmPool whose Modules name a function in their data. Counts what it does and breaks when told to. */
export class ScriptPool implements VmPool {
  readonly formats = [scriptFormat]
  readonly #scripts: Readonly<Record<string, Script>>
  readonly handled: VmMessage[] = []
  readonly setups: ProcessSetup[] = []
  /** As many of the next calls throw this. */
  failures: AoError[] = []
  /** Mixed into every state root: two pools that differ in it disagree. */
  salt = ''
  /** Of each instance: milliseconds for each message, and its size. */
  usageOfEach = { handledMs: 0, residentBytes: 1000 }
  readonly #instances = new Set<ScriptProcess>()

  constructor(scripts: Readonly<Record<string, Script>>) {
    this.#scripts = scripts
  }

  /** As when a worker dies or memory is short. */
  evictAll(): void {
    for (const instance of this.#instances) instance.evicted = true
  }

  /** As when a worker dies, and the pool says so. */
  loseAll(): void {
    for (const instance of this.#instances) if (!instance.evicted) instance.lose()
  }

  get live(): number {
    return [...this.#instances].filter(({ evicted }) => !evicted).length
  }

  async open(setup: ProcessSetup): Promise<LiveProcess> {
    const name = toUtf8(await setup.loadModule())
    const script = this.#scripts[name]
    if (script === undefined) throw new AoError('UNSUPPORTED_MODULE', 'no such script', { name })
    this.setups.push(setup)
    const instance = new ScriptProcess(script, setup, this)
    this.#instances.add(instance)
    return instance
  }
}

class ScriptProcess implements LiveProcess {
  readonly #script: Script
  readonly #env: VmEnvironment
  readonly #pool: ScriptPool
  readonly #lost: (() => void) | undefined
  #state: Json = null
  #applied = 0
  evicted = false
  get usage() {
    const { handledMs, residentBytes } = this.#pool.usageOfEach
    return { handledMs: handledMs * this.#applied, residentBytes }
  }

  constructor(script: Script, { environment, image, lost }: ProcessSetup, pool: ScriptPool) {
    this.#lost = lost
    this.#script = script
    this.#env = environment
    this.#pool = pool
    if (image === undefined) return
    this.#state = JSON.parse(toUtf8(Buffer.concat(image.pages.map(({ bytes }) => bytes)))) as Json
    this.#applied = image.applied
    if (this.#image().stateRoot !== image.stateRoot) throw new AoError('STORE_CORRUPT', 'not that state')
  }

  lose(): void {
    this.evicted = true
    this.#lost?.()
  }

  async handle(message: VmMessage): Promise<Step> {
    const { state, evaluation } = await this.#evaluate(message)
    if (evaluation.error === undefined) this.#state = state
    this.#applied++
    this.#pool.handled.push(message)
    // A root is due after every message.
    const stateNonce = (this.#applied - 1) as Nonce
    return { evaluation, stateRoot: this.#image().stateRoot, stateNonce, applied: this.#applied }
  }

  async snapshot(): Promise<VmImage> {
    if (this.evicted) throw new AoError('NOT_READY', 'the instance was evicted')
    return this.#image()
  }

  /** The state as JSON in the first pages of a memory, and the salt as its only global. */
  #image(): VmImage {
    const json = utf8(canonicalJson(this.#state))
    const memoryBytes = Math.ceil(json.length / statePageBytes) * statePageBytes
    const memory = new Uint8Array(memoryBytes).fill(0x20)
    memory.set(json)
    const pages = Array.from({ length: memoryBytes / statePageBytes }, (_, index) => {
      const bytes = memory.subarray(index * statePageBytes, (index + 1) * statePageBytes)
      return { index, bytes, hash: idFromBytes(pageHash(bytes)) }
    })
    const globals = [Buffer.from(sha256(utf8(this.#pool.salt))).readBigUInt64BE()]
    const hashes = pages.map(({ index, hash }) => [index, idToBytes(hash)] as const)
    const stateRoot = stateRootOf({ memoryBytes, globals, pages: hashes })
    const nonce = this.#applied === 0 ? undefined : ((this.#applied - 1) as Nonce)
    const counters = rootProgressToJson({ ...noRoots, root: stateRoot, nonce })
    return { memoryBytes, globals, pages, stateRoot, applied: this.#applied, counters }
  }

  async dryRun(message: VmMessage): Promise<Evaluation> {
    return (await this.#evaluate(message)).evaluation
  }

  async close(): Promise<void> {
    this.evicted = true
  }

  async #evaluate(message: VmMessage): Promise<{ state: Json; evaluation: Evaluation }> {
    await raceSignal(Promise.resolve())
    const failure = this.#pool.failures.shift()
    if (failure !== undefined) throw failure
    if (this.evicted) throw new AoError('NOT_READY', 'the instance was evicted')
    const { state, answer } = this.#script(this.#state, message, this.#env)
    return { state, evaluation: parseEvaluation(answer, 7n) }
  }
}

/** A published Module whose script is `name`. */
export const aScriptModule = (name: string, signer?: Signer) =>
  anItem(
    {
      data: utf8(name),
      tags: tagsOf(
        ['Data-Protocol', 'ao'],
        ['Type', 'Module'],
        ['Variant', 'ao.TN.1'],
        ['Module-Format', scriptFormat],
        ['Input-Encoding', 'JSON-V1'],
        ['Output-Encoding', 'JSON-V1'],
        ['Memory-Limit', '1-mb'],
        ['Compute-Limit', '1000'],
      ),
    },
    signer,
  )

/** Remembers every message's data, in order, and answers with how many there were. */
export const recorder: Script = (state, message) => {
  const seen = [...((state as readonly Json[] | null) ?? []), message['Data'] ?? '']
  return { state: seen, answer: { Output: { count: seen.length, seen } } }
}

import { Worker } from 'node:worker_threads'
import { copyOf } from '../lib/bytes.ts'
import type { Component } from '../lib/component.ts'
import { AoError } from '../lib/errors.ts'
import type { Telemetry } from '../lib/telemetry.ts'
import type { Assignment, Link } from '../protocol/assignment.ts'
import { noteGood } from '../protocol/checked-items.ts'
import type { Address, AssignmentId } from '../protocol/ids.ts'
import { type HeldKey, signRunsIn } from '../protocol/sign-aside.ts'
import type { Run } from '../protocol/signed-run.ts'
import { fromPlainError } from '../vm/worker-messages.ts'
import type { SignAnswer, Signed, SignRequest, SignThreadData } from './sign-packet.ts'

/** Fewer are signed before the thread would have heard of them. */
const minAssignments = 8

interface Asked {
  readonly runs: readonly Run[]
  readonly resolve: (signed: readonly (readonly Assignment[])[]) => void
  readonly reject: (error: unknown) => void
}

/**
 * Signs Assignments beside the main thread, a batch in one message there and one back. What waits is what its callers
 * have waiting: a scheduler has one batch.
 */
export class SignThread implements Component {
  readonly name = 'sign thread'
  readonly #telemetry: Telemetry
  /** Whose key the thread has. */
  #address: Address | undefined
  #worker: Worker | undefined
  #asked: Asked[] = []
  #running = false

  constructor(telemetry: Telemetry) {
    this.#telemetry = telemetry
  }

  /** The thread comes with the first batch: most nodes sign little. */
  async start(): Promise<void> {
    this.#running = true
    signRunsIn((held, runs) => this.#sign(held, runs))
  }

  /** Refuses what waits with `STOPPING`; whoever signs afterwards does so on the main thread. */
  async stop(): Promise<void> {
    if (!this.#running) return
    this.#running = false
    signRunsIn(undefined)
    this.#refuse(new AoError('STOPPING', 'the node is shutting down'))
    await this.#worker?.terminate()
    this.#worker = undefined
  }

  #sign(held: HeldKey, runs: readonly Run[]): Promise<readonly (readonly Assignment[])[]> | undefined {
    let count = 0
    for (const { plans } of runs) count += plans.length
    if (count < minAssignments) return undefined
    this.#address ??= held.address
    if (this.#address !== held.address) return undefined // one thread has one key
    this.#worker ??= this.#open(held)
    const worker = this.#worker
    return new Promise((resolve, reject) => {
      this.#asked.push({ runs, resolve, reject })
      const request: SignRequest = runs.map(({ previous, plans }) => ({ previous: linkOf(previous), plans }))
      worker.postMessage(request)
    })
  }

  #open({ address, key }: HeldKey): Worker {
    const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
    const workerData: SignThreadData = { key }
    const worker = new Worker(new URL(`./sign-worker.${ending}`, import.meta.url), { workerData })
    worker.unref()
    worker.on('message', (answer: SignAnswer) => {
      const asked = this.#asked.shift()
      if ('failure' in answer) asked?.reject(fromPlainError(answer.failure))
      else asked?.resolve(assignmentsOf(asked.runs, answer, address))
    })
    worker.on('error', cause => {
      this.#telemetry.log.error('sign-thread-broke', { reason: cause.message })
      this.#worker = undefined // the next batch opens another
      this.#refuse(new AoError('INTERNAL', 'the thread that signs broke', {}, { cause }))
    })
    return worker
  }

  #refuse(error: AoError): void {
    for (const { reject } of this.#asked.splice(0)) reject(error)
  }
}

/** Of an Assignment no more than the thread needs. */
const linkOf = (previous: Link | undefined): Link | undefined =>
  previous && { id: previous.id, hashChain: previous.hashChain }

function assignmentsOf(
  runs: readonly Run[],
  { bytes, ends, ids, hashChains }: Signed,
  scheduler: Address,
): readonly (readonly Assignment[])[] {
  let next = 0
  let start = 0
  return runs.map(({ plans }) =>
    plans.map(plan => {
      const i = next++
      const raw = copyOf(bytes.subarray(start, ends[i])) // whoever keeps one must not keep the batch
      start = ends[i] ?? start
      noteGood(raw)
      return { ...plan, hashChain: hashChains[i] ?? '', id: ids[i] as AssignmentId, scheduler, raw }
    }),
  )
}

import { EventEmitter, once } from 'node:events'
import { Readable } from 'node:stream'
import { createGzip } from 'node:zlib'
import { type AbortOptions, raceSignal } from '../../../src/lib/abort.ts'
import { AoError } from '../../../src/lib/errors.ts'
import { silentTelemetry, type Telemetry } from '../../../src/lib/telemetry.ts'
import { absentMessenger, absentScheduler } from '../../../src/network/grpc/absent-units.ts'
import type { CallersDeps } from '../../../src/network/grpc/callers.ts'
import type { Certificate } from '../../../src/network/grpc/certificate.ts'
import { createCertificate } from '../../../src/network/grpc/certificate.ts'
import { GrpcServer, type GrpcServerDeps, type GrpcServerOptions } from '../../../src/network/grpc/server.ts'
import type { NodeInfoSource } from '../../../src/ports/node-info.ts'
import type { StoredResult } from '../../../src/ports/result-store.ts'
import type {
  AttestedResult,
  Compute,
  CrankProgress,
  MemoryDump,
  Messenger,
  ResultsPage,
  ResultsQuery,
  Scheduler,
  StateOptions,
} from '../../../src/ports/units.ts'
import {
  type Assignment,
  draftAssignment,
  nextAssignment,
  parseAssignment,
  type ScheduledMessage,
} from '../../../src/protocol/assignment.ts'
import { attestationOf, draftAttestation } from '../../../src/protocol/attestation.ts'
import { type DataItem, verifyDataItem } from '../../../src/protocol/data-item.ts'
import {
  type Id,
  idFromBytes,
  type MessageId,
  type ModuleId,
  type Nonce,
  type ProcessId,
} from '../../../src/protocol/ids.ts'
import { generateKey, type Signer, signerFromJwk } from '../../../src/protocol/keys.ts'
import { parseAoItem } from '../../../src/protocol/message.ts'
import { emptyOutbox, type Result } from '../../../src/protocol/result.ts'
import { tagsOf } from '../../../src/protocol/tags.ts'
import { draftUnitRecord, parseUnitRecord, type UnitRecord } from '../../../src/protocol/unit-record.ts'

export const newSigner = (): Signer => signerFromJwk(generateKey('ed25519'))
const compute = newSigner().address
export const someId = <T extends Id = Id>(byte: number): T => idFromBytes<T>(new Uint8Array(32).fill(byte))

export const spawnItem = (user: Signer, scheduler: Signer): Promise<DataItem> =>
  user.sign({
    data: new Uint8Array(0),
    tags: tagsOf(['Data-Protocol', 'ao'], ['Type', 'Process'], ['Module', someId(1)], ['Scheduler', scheduler.address]),
  })

export const messageItem = (user: Signer, process: ProcessId, data: string | Uint8Array): Promise<DataItem> =>
  user.sign({
    target: process,
    data: Buffer.from(data),
    tags: tagsOf(['Data-Protocol', 'ao'], ['Type', 'Message']),
  })

/** Orders in memory. Small, but an honest SU: signs, links, and gives one message one Assignment. */
export class SmallScheduler implements Scheduler {
  readonly #signer: Signer
  readonly #rows = new Map<ProcessId, ScheduledMessage[]>()
  readonly #news = new EventEmitter().setMaxListeners(0)
  #turn: Promise<unknown> = Promise.resolve()
  readonly assign = absentScheduler.assign
  readonly clock = absentScheduler.clock

  constructor(signer: Signer) {
    this.#signer = signer
  }

  schedule(message: DataItem, _options?: AbortOptions): Promise<Assignment> {
    const mine = this.#turn.then(() => this.#append(message))
    this.#turn = mine.catch(() => undefined)
    return mine
  }

  async assignment(process: ProcessId, at: MessageId | Nonce | 'newest'): Promise<Assignment> {
    const rows = this.#of(process)
    const row =
      at === 'newest'
        ? rows.at(-1)
        : rows.find(({ assignment }) => assignment.message === at || assignment.nonce === at)
    if (row === undefined) throw new AoError('UNKNOWN_MESSAGE', 'no such message here', { process, at })
    return row.assignment
  }

  async process(process: ProcessId): Promise<DataItem> {
    const item = this.#of(process)[0]?.message
    if (item === undefined) throw new AoError('UNKNOWN_PROCESS', 'no such process here', { process })
    return item
  }

  async *read(
    process: ProcessId,
    { from, to, follow }: Parameters<Scheduler['read']>[1],
    options: AbortOptions = {},
  ): AsyncIterable<ScheduledMessage> {
    for (let at: number = from; to === undefined || at <= to; at++) {
      const row = this.#of(process)[at]
      if (row !== undefined) yield row
      else if (follow === true) {
        await raceSignal(once(this.#news, process), options)
        at--
      } else return
    }
  }

  async #append(message: DataItem): Promise<Assignment> {
    const { process, type } = parseAoItem(message)
    if (type === 'Process' && !this.#rows.has(process)) this.#rows.set(process, [])
    const rows = this.#of(process)
    const before = rows.find(row => row.assignment.message === message.id)
    if (before !== undefined) return before.assignment
    const block = { height: 7, hash: 'block', timestamp: 1 }
    const fields = nextAssignment(rows.at(-1)?.assignment, { process, message: message.id, now: 1_000, block })
    const assignment = parseAssignment(await this.#signer.sign(draftAssignment(fields)))
    rows.push({ assignment, message })
    this.#news.emit(process)
    return assignment
  }

  #of(process: ProcessId): ScheduledMessage[] {
    const rows = this.#rows.get(process)
    if (rows !== undefined) return rows
    const hint = 'Spawn it first.'
    throw new AoError('UNKNOWN_PROCESS', 'no such process here', { process, known: this.#rows.size }, { hint })
  }
}

/** A CU whose every result is the nonce. */
export class SmallCompute implements Compute {
  readonly #signer: Signer
  readonly #scheduler: Scheduler

  constructor(signer: Signer, scheduler: Scheduler) {
    this.#signer = signer
    this.#scheduler = scheduler
  }

  async result(process: ProcessId, at: MessageId | Nonce, options?: AbortOptions): Promise<AttestedResult> {
    const assignment = await this.#scheduler.assignment(process, at, options)
    const result: Result = {
      process,
      nonce: assignment.nonce,
      stateRoot: someId(assignment.nonce),
      stateNonce: assignment.nonce,
      outbox: { ...emptyOutbox, messages: [{ target: process, anchor: '', tags: [], data: 'on' }] },
      output: { data: `nonce ${assignment.nonce}` },
      error: undefined,
      gasUsed: 42n,
    }
    return { result, attestation: await this.attest(result, assignment) }
  }

  async results(process: ProcessId, query: ResultsQuery, options?: AbortOptions): Promise<ResultsPage> {
    const { descending, limit, after } = query
    const from = (after !== undefined && 'nonce' in after ? after.nonce + 1 : 0) as Nonce
    const rows: StoredResult[] = []
    for await (const { assignment } of this.#scheduler.read(process, { from }, options)) {
      rows.push({ assignment, ...(await this.result(process, assignment.nonce, options)) })
    }
    const ordered = descending ? rows.reverse() : rows
    return { rows: ordered.slice(0, limit), hasNext: rows.length > limit }
  }

  async attest(result: Result, assignment: Assignment): Promise<Uint8Array> {
    const at = { assignment, module: someId<ModuleId>(1), meter: 'none-1', previousStateRoot: someId(0) }
    return (await this.#signer.sign(draftAttestation(attestationOf(result, at)))).raw
  }

  /** A memory of a megabyte whose bytes hardly repeat. */
  async memory(process: ProcessId, { to, ...options }: StateOptions = {}): Promise<MemoryDump> {
    const at = typeof to === 'string' ? to : 'newest'
    const { nonce, timestamp, blockHeight } = await this.#scheduler.assignment(process, at, options)
    const memory = Buffer.from(Array.from({ length: 1 << 20 }, (_, i) => (i * i * 31 + (i >> 8)) & 0xff))
    const gzip = Readable.from([memory]).pipe(createGzip())
    return { nonce, timestamp, blockHeight, memoryBytes: memory.length, gzip }
  }

  async dryRun(
    ...[, message, options]: Parameters<Compute['dryRun']>
  ): Promise<Awaited<ReturnType<Compute['dryRun']>>> {
    const { owner, from, id, anchor, tags, data, fields } = message
    const output = {
      owner,
      from: from ?? null,
      id: id ?? null,
      anchor: anchor ?? null,
      tags: tags.length,
      data,
      fields: fields ?? null,
      ...(options?.to === undefined ? {} : { to: options.to }),
    }
    return { outbox: emptyOutbox, output, error: undefined, gasUsed: 7n }
  }
}

/** An MU that schedules and has nothing to crank. */
export class SmallMessenger implements Messenger {
  readonly #scheduler: Scheduler
  readonly cranked: MessageId[] = []
  readonly assign = absentMessenger.assign
  readonly promise = absentMessenger.promise
  readonly monitor = absentMessenger.monitor
  readonly unmonitor = absentMessenger.unmonitor

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler
  }

  async submit(bytes: Uint8Array, options?: AbortOptions): Promise<Assignment> {
    return this.#scheduler.schedule(await verifyDataItem(bytes), options)
  }

  async crank(_process: ProcessId, message: MessageId): Promise<void> {
    this.cranked.push(message)
  }

  async *follow(process: ProcessId, message: MessageId): AsyncIterable<CrankProgress> {
    const base = { process, message, nonce: 1 as Nonce, attempts: 0, parts: [], depth: 0, at: 1_700_000_000_000 }
    const state = { reason: undefined, result: undefined }
    yield { ...base, ...state, state: 'queued' }
    const part = {
      ...({ kind: 'message', target: process, message: undefined, nonce: undefined } as const),
      handedTo: undefined,
    }
    yield {
      ...base,
      state: 'done',
      reason: undefined,
      result: { compute, stateRoot: someId(7), outboxRoot: someId(8), error: 'broken' },
      parts: [
        { ...part, state: 'failed', reason: 'nobody there' },
        { ...part, state: 'pushed', message: someId<MessageId>(9), nonce: 2 as Nonce, reason: undefined },
        { ...part, state: 'pushed', handedTo: compute, reason: 'handed over' },
      ],
    }
  }
}

export interface TestNode {
  readonly signer: Signer
  readonly scheduler: SmallScheduler
  readonly compute: SmallCompute
  readonly messenger: SmallMessenger
  readonly server: GrpcServer
  readonly certificate: Certificate
  readonly record: UnitRecord
}

export interface TestNodeOptions {
  readonly units?: Partial<GrpcServerDeps['units']>
  readonly signer?: Signer
  /** The certificate that the record carries, if another than the server shows. */
  readonly recordCertificate?: Uint8Array
  readonly telemetry?: Telemetry
  readonly server?: Partial<GrpcServerOptions>
  readonly callers?: CallersDeps
}

/** A started node with small units, at a free port of the loopback. */
export async function startNode(options: TestNodeOptions = {}): Promise<TestNode> {
  const signer = options.signer ?? newSigner()
  const certificate = await createCertificate({ commonName: signer.address })
  const scheduler = new SmallScheduler(signer)
  const compute = new SmallCompute(signer, scheduler)
  const messenger = new SmallMessenger(scheduler)
  let raw = new Uint8Array(0)
  const node: NodeInfoSource = {
    record: () => raw,
    version: '0.1.0',
    network: 'testnet',
    arweave: 'http://127.0.0.1:4000',
    status: async () => ({ processes: 1 }),
    records: () => [raw],
  }
  const server = new GrpcServer(
    {
      ...(options.telemetry ?? silentTelemetry),
      ...{ units: { scheduler, compute, messenger, ...options.units }, node, callers: options.callers },
    },
    { host: '127.0.0.1', port: 0, certificate, ...options.server },
  )
  await server.start()
  const item = await signer.sign(
    draftUnitRecord({
      roles: ['MU', 'SU', 'CU'],
      peer: 'peer',
      multiaddrs: [],
      grpc: `127.0.0.1:${server.port}`,
      certificate: options.recordCertificate ?? certificate.der,
      network: someId(3),
      issuedAt: 1,
      expiresAt: 2,
      formats: [],
    }),
  )
  raw = Buffer.from(item.raw)
  return { signer, scheduler, compute, messenger, server, certificate, record: parseUnitRecord(item) }
}

/** Resolves when the fact holds; looks again at each turn of the event loop. */
export async function until(fact: () => boolean, what: string, ms = 5_000): Promise<void> {
  const limit = Date.now() + ms
  while (!fact()) {
    if (Date.now() > limit) throw new Error(`did not come true in ${ms} ms: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 1))
  }
}

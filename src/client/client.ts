import { randomBytes } from 'node:crypto'
import type { AbortOptions } from '../lib/abort.ts'
import { toBase64Url, utf8 } from '../lib/bytes.ts'
import { AoError } from '../lib/errors.ts'
import type { NodeConnection } from '../network/grpc/connect.ts'
import type { Trace } from '../ports/trace.ts'
import type {
  AssignRequest,
  AttestedResult,
  CrankProgress,
  DryRunMessage,
  NonceRange,
  ResultsPage,
  ResultsQuery,
  StateOptions,
} from '../ports/units.ts'
import { type Assignment, checkFollows, type ScheduledMessage } from '../protocol/assignment.ts'
import { parseAttestation } from '../protocol/attestation.ts'
import { type DataItem, verifyDataItem } from '../protocol/data-item.ts'
import {
  type Address,
  type Id,
  type MessageId,
  type ModuleId,
  type Nonce,
  type ProcessId,
  parseAddress,
} from '../protocol/ids.ts'
import type { Signer } from '../protocol/keys.ts'
import type { Evaluation } from '../protocol/result.ts'
import { type Tag, tagsOf } from '../protocol/tags.ts'
import type { UnitRecord, UnitRole } from '../protocol/unit-record.ts'
import { assertBegins, notOfScheduler } from './checks.ts'
import { Children } from './children.ts'
import { isHosts } from './host-check.ts'

export interface SpawnOptions {
  readonly module: ModuleId
  /** The SU that is to order it; any living one by default. */
  readonly scheduler?: Address | undefined
  /** Whose pushed messages it believes; every MU of the network by default. */
  readonly authorities?: readonly Address[] | undefined
  readonly tags?: readonly Tag[]
  readonly data?: string
}

export interface SendOptions {
  readonly tags?: readonly Tag[]
  readonly data?: string
}

/** What became of a message. */
export interface CallOutcome extends AttestedResult {
  readonly assignment: Assignment
  /**
   * The messages that it set off, as the MUs that pushed them have it in the end. In the order of cause: a parent
   * before its children, those of one outbox in the outbox's order.
   */
  readonly children: readonly CrankProgress[]
}

/** What an AO developer does with a network, through any one node of it. Every item gets a random anchor. */
export class Client {
  readonly #node: NodeConnection
  readonly #signer: Signer

  constructor(node: NodeConnection, signer: Signer) {
    this.#node = node
    this.#signer = signer
  }

  /** The wallet that signs, which is the owner of what it spawns. */
  get address(): Address {
    return this.#signer.address
  }

  async units(role: UnitRole, options: AbortOptions = {}): Promise<readonly UnitRecord[]> {
    const records = await this.#node.listUnits(options)
    return records.filter(record => record.roles.includes(role))
  }

  /** Signs a Process item and has it ordered. Its id is the new Process. */
  async spawn(spawn: SpawnOptions, options: AbortOptions = {}): Promise<Assignment> {
    const scheduler = spawn.scheduler ?? (await this.#anySchedulerAddress(options))
    const authorities = spawn.authorities ?? (await this.units('MU', options)).map(record => record.address)
    const tags = [
      ...(spawn.tags ?? []),
      ...tagsOf(
        ['Data-Protocol', 'ao'],
        ['Variant', 'ao.TN.1'],
        ['Type', 'Process'],
        ['Module', spawn.module],
        ['Scheduler', parseAddress(scheduler, 'scheduler')],
      ),
      // One tag for each address: aos does not split at commas.
      ...authorities.map((value): Tag => ({ name: 'Authority', value })),
    ]
    return this.#submit({ tags, data: spawn.data ?? ' ' }, options)
  }

  /** Signs a Message and has it ordered. */
  async send(process: ProcessId, message: SendOptions, options: AbortOptions = {}): Promise<Assignment> {
    return this.#submit({ target: process, tags: messageTags(message), data: message.data ?? ' ' }, options)
  }

  /**
   * Signs a Message and has an MU promise to have it ordered, without waiting for the SU.
   *
   * @returns the signed Delivery-Promise: what to show if it is not kept.
   * @throws AoError `INVALID_RECORD` if some stranger signed it; `NOT_READY` if no MU has a stake.
   */
  async promise(process: ProcessId, message: SendOptions, options: AbortOptions = {}): Promise<DataItem> {
    const item = await this.#sign({ target: process, tags: messageTags(message), data: message.data ?? ' ' })
    const promise = await this.#node.units.messenger.promise(item.raw, options)
    if ((await this.units('MU', options)).some(({ address }) => address === promise.owner)) return promise
    const facts = { messenger: promise.owner }
    throw new AoError('INVALID_RECORD', 'the promise is signed by no Messenger Unit of this network', facts)
  }

  /**
   * Waits until the message is evaluated. The Attestation fits the result and is signed by a CU of the network.
   *
   * @throws AoError `INVALID_RECORD` if some stranger signed it.
   */
  async result(process: ProcessId, at: MessageId | Nonce, options: AbortOptions = {}): Promise<AttestedResult> {
    const answer = await this.#node.units.compute.result(process, at, options)
    const { compute } = parseAttestation(await verifyDataItem(answer.attestation))
    if ((await this.units('CU', options)).some(({ address }) => address === compute)) return answer
    throw new AoError('INVALID_RECORD', 'the result is signed by no Compute Unit of this network', { compute })
  }

  /**
   * Signs a Message, has it ordered, and waits for its result and for all that it sets off.
   *
   * @throws AoError `DEADLINE` | `ABORTED` when the signal fires first; the message goes on all the same.
   */
  async call(process: ProcessId, message: SendOptions, options: AbortOptions = {}): Promise<CallOutcome> {
    const assignment = await this.send(process, message, options)
    const { result, attestation } = await this.result(process, assignment.nonce, options)
    const children = new Children(assignment)
    for await (const step of this.follow(process, assignment.message, options)) children.add(step)
    return { assignment, result, attestation, children: children.list() }
  }

  /** Results of the messages that did not fail, a page at a time, each attested. */
  results(process: ProcessId, query: ResultsQuery, options: AbortOptions = {}): Promise<ResultsPage> {
    return this.#node.units.compute.results(process, query, options)
  }

  /**
   * The schedule in order, every signature and every link of the hash chain checked. With `follow` it goes on as more
   * is ordered, until the signal fires. It begins at nonce 0, or at `from`, whose own link is then taken on trust.
   *
   * @throws AoError `INVALID_ASSIGNMENT` where it is not the honest log of its scheduler.
   */
  async *schedule(
    process: ProcessId,
    { from = 0 as Nonce, to, follow }: Partial<NonceRange> = {},
    options: AbortOptions = {},
  ): AsyncIterable<ScheduledMessage> {
    const { scheduler: reader } = this.#node.units
    const item = await reader.process(process, options)
    let previous: Assignment | undefined
    for await (const row of reader.read(process, { from, to, follow }, options)) {
      const { scheduler, epoch } = row.assignment
      // Within an epoch it is asked once: one hash chain holds the rest.
      const isNew = scheduler !== previous?.scheduler || epoch !== previous.epoch
      if (isNew && !(await isHosts(this.#node, row.assignment, item, options))) throw notOfScheduler(process, scheduler)
      if (previous === undefined && from > 0) assertBegins(process, from, row.assignment)
      else checkFollows(process, previous, row.assignment)
      previous = row.assignment
      yield row
    }
  }

  dryRun(process: ProcessId, message: Omit<DryRunMessage, 'owner'>, options: StateOptions = {}): Promise<Evaluation> {
    return this.#node.units.compute.dryRun(process, { ...message, owner: this.address }, options)
  }

  /** Progress of everything a message sets off, until all is quiet. */
  follow(process: ProcessId, message: MessageId, options: AbortOptions = {}): AsyncIterable<CrankProgress> {
    return this.#node.units.messenger.follow(process, message, options)
  }

  /** Has an item that is on Arweave already ordered in a Process. */
  assign(request: AssignRequest, options: AbortOptions = {}): Promise<Assignment> {
    return this.#node.units.messenger.assign(request, options)
  }

  /** Has an MU push what the cron messages of a Process send, from now on. */
  monitor(process: ProcessId, options: AbortOptions = {}): Promise<void> {
    return this.#node.units.messenger.monitor(process, options)
  }

  unmonitor(process: ProcessId, options: AbortOptions = {}): Promise<void> {
    return this.#node.units.messenger.unmonitor(process, options)
  }

  /** Pushes what a message sent, at an MU that its targets name: for when the MU that had it is gone or gave up. */
  crank(process: ProcessId, message: MessageId, options: AbortOptions = {}): Promise<void> {
    return this.#node.units.messenger.crank(process, message, options)
  }

  /** Where a message and all it set off are, and why they are not further. */
  trace(process: ProcessId, at: MessageId | Nonce, options: AbortOptions = {}): Promise<Trace> {
    return this.#node.trace(process, at, options)
  }

  /** Assignment of a message, by its id or nonce. */
  assignment(process: ProcessId, at: MessageId | Nonce | 'newest', options: AbortOptions = {}): Promise<Assignment> {
    return this.#node.units.scheduler.assignment(process, at, options)
  }

  /** The node's own view of itself. */
  get node(): NodeConnection {
    return this.#node
  }

  async close(): Promise<void> {
    await this.#node.close()
  }

  async #submit(draft: ItemDraft, options: AbortOptions): Promise<Assignment> {
    const item = await this.#sign(draft)
    const assignment = await this.#node.units.messenger.submit(item.raw, options)
    if ((assignment.message as Id) !== item.id) {
      throw new AoError('INVALID_ASSIGNMENT', 'the node answered with an Assignment of another message', {
        id: item.id,
      })
    }
    await this.#assertScheduler(assignment, item, options)
    return assignment
  }

  #sign(draft: ItemDraft): Promise<DataItem> {
    return this.#signer.sign({ ...draft, anchor: randomAnchor(), data: utf8(draft.data) })
  }

  /** A Process is ordered by the SU that its own signed item names, or by who took it over, and by nobody else. */
  async #assertScheduler(assignment: Assignment, sent: DataItem, options: AbortOptions): Promise<void> {
    const { process, scheduler } = assignment
    const item = (process as Id) === sent.id ? sent : await this.#node.units.scheduler.process(process, options)
    if (await isHosts(this.#node, assignment, item, options)) return
    throw notOfScheduler(process, scheduler)
  }

  async #anySchedulerAddress(options: AbortOptions): Promise<Address> {
    const [first] = await this.units('SU', options)
    if (first !== undefined) return first.address
    throw new AoError(
      'PEER_UNREACHABLE',
      'this node knows no Scheduler Unit',
      {},
      {
        hint: 'Wait until it has found its network (`aonet status`), or name one with --scheduler.',
      },
    )
  }
}

interface ItemDraft {
  readonly target?: ProcessId
  readonly tags: readonly Tag[]
  readonly data: string
}

const messageTags = ({ tags = [] }: SendOptions): readonly Tag[] => [
  ...tags,
  ...tagsOf(['Data-Protocol', 'ao'], ['Variant', 'ao.TN.1'], ['Type', 'Message']),
]

/** 32 bytes of text, so that equal items of one key do not share an id. */
export const randomAnchor = (): string => toBase64Url(randomBytes(24))

import { equalBytes, sha256, toUtf8, utf8 } from '../lib/bytes.ts'
import { AoError } from '../lib/errors.ts'
import { canonicalJson, type Json } from '../lib/json.ts'
import { answerFault } from './answer-limits.ts'
import { type CronPlace, cronText, parseCronText } from './cron.ts'
import { deepHash } from './deep-hash.ts'
import { type Id, idFromBytes, type Nonce, type ProcessId, parseId, parseNonce } from './ids.ts'
import type { Tag } from './tags.ts'

/** One thing a Process sends: unsigned, because the MU signs on the Process's behalf. */
export interface OutboxMessage {
  /** As the Process wrote it: a Process, a wallet, or text that is neither. */
  readonly target: string
  readonly anchor: string
  readonly tags: readonly Tag[]
  readonly data: string
}
export type OutboxSpawn = Omit<OutboxMessage, 'target'>
export interface AssignmentRequest {
  /** The item to assign. */
  readonly message: string
  readonly processes: readonly string[]
  readonly baseLayer: boolean
  readonly exclude: readonly string[]
}
export interface Outbox {
  readonly messages: readonly OutboxMessage[]
  readonly spawns: readonly OutboxSpawn[]
  readonly assignments: readonly AssignmentRequest[]
}

/** What evaluating one message gave. With `error` the state is as it was before the message. */
export interface Evaluation {
  readonly outbox: Outbox
  readonly output: Json
  readonly error: string | undefined
  readonly gasUsed: bigint
}

/** An Evaluation at its place in the log. */
export interface Result extends Evaluation {
  readonly process: ProcessId
  /** Of a cron message: of the message before it. */
  readonly nonce: Nonce
  /** Which cron message it is of. */
  readonly cron?: CronPlace | undefined
  /**
   * Commitment to the state after message `stateNonce`, the newest up to this one at which a root was due
   * (`root-rule.ts`): memory pages, memory length and mutable globals.
   */
  readonly stateRoot: Id
  readonly stateNonce: Nonce
}

export const emptyOutbox: Outbox = { messages: [], spawns: [], assignments: [] }

/**
 * Reads what a module answered (its `response` object, or `{ Error }`), forgiving in shape and strict in type, so that
 * equal answers give equal Evaluations on every node and nothing a Process sends vanishes silently.
 */
export function parseEvaluation(answer: unknown, gasUsed: bigint): Evaluation {
  const fault = answerFault(answer)
  return fault === undefined
    ? readEvaluation(answer, gasUsed)
    : { outbox: emptyOutbox, output: '', error: fault, gasUsed }
}

/** What `resultToJson` wrote, whose every answer had its limits checked before. */
export function readEvaluation(answer: unknown, gasUsed: bigint): Evaluation {
  const fields = record(answer)
  const error = fields['Error']
  return {
    outbox: {
      messages: list(fields['Messages']).map(entry => ({ target: text(record(entry)['Target']), ...part(entry) })),
      spawns: list(fields['Spawns']).map(part),
      assignments: list(fields['Assignments']).map(request),
    },
    output: json(fields['Output']),
    error: error === undefined || error === null || error === false || error === '' ? undefined : text(error),
    gasUsed,
  }
}

/** The JSON face that AO clients read: `Messages`, `Spawns`, `Assignments`, `Output`, `Error?`, `GasUsed`. */
export function resultToJson(result: Evaluation): { readonly [key: string]: Json } {
  const { outbox, output, error, gasUsed } = result
  return {
    Messages: outbox.messages.map(({ target, anchor, tags, data }) => ({
      Target: target,
      Anchor: anchor,
      Tags: tags.map(tagToJson),
      Data: data,
    })),
    Spawns: outbox.spawns.map(({ anchor, tags, data }) => ({ Anchor: anchor, Tags: tags.map(tagToJson), Data: data })),
    Assignments: outbox.assignments.map(({ message, processes, baseLayer, exclude }) => ({
      Message: message,
      Processes: processes,
      ...(baseLayer ? { BaseLayer: true } : {}),
      ...(exclude.length > 0 ? { Exclude: exclude } : {}),
    })),
    Output: output,
    ...(error === undefined ? {} : { Error: error }),
    GasUsed: Number(gasUsed),
  }
}

/** Canonical bytes of a Result, for the store and the wire between units. */
export const encodeResult = (result: Result): Uint8Array => {
  const { process, nonce, stateRoot, stateNonce, gasUsed } = result
  const cron = result.cron === undefined ? {} : { cron: cronText(result.cron) }
  const gas = String(gasUsed)
  return utf8(canonicalJson({ process, nonce, ...cron, stateRoot, stateNonce, gas, answer: resultToJson(result) }))
}

/** @throws AoError `INVALID_RECORD` for bytes that `encodeResult` did not write. */
export function decodeResult(bytes: Uint8Array): Result {
  try {
    const { process, nonce, cron, stateRoot, stateNonce, gas, answer } = record(JSON.parse(toUtf8(bytes)))
    const result = {
      ...readEvaluation(answer, BigInt(text(gas))),
      process: parseId<ProcessId>(process, 'process'),
      nonce: parseNonce(nonce),
      ...(cron === undefined ? {} : { cron: parseCronText(text(cron)) }),
      stateRoot: parseId(stateRoot, 'stateRoot'),
      stateNonce: parseNonce(stateNonce, 'stateNonce'),
    }
    if (!equalBytes(encodeResult(result), bytes)) throw new AoError('INVALID_ARGUMENT', 'the bytes are not canonical')
    return result
  } catch (cause) {
    const reason = cause instanceof AoError ? cause.message : 'it cannot be read'
    throw new AoError('INVALID_RECORD', `not a Result: ${reason}`, { bytes: bytes.length }, { cause })
  }
}

/** SHA-256 of the canonical Output, which is what clients read. */
export const outputHash = (evaluation: Evaluation): Id => idFromBytes(sha256(utf8(canonicalJson(evaluation.output))))

/** How many parts an outbox has; part i is a message, then a spawn, then an assignment. */
export const outboxSize = ({ messages, spawns, assignments }: Outbox): number =>
  messages.length + spawns.length + assignments.length

/**
 * Binary Merkle root over the outbox. Leaf = SHA-256(0x00, kind, u32be(index), deep hash of target, anchor, tags, data);
 * node = SHA-256(0x01, left, right); an odd node is promoted; empty is 32 zero bytes.
 */
export function outboxRoot(outbox: Outbox): Id {
  const leaves = [
    ...outbox.messages.map(message => [kindMessage, contentHash(message.target, message)] as const),
    ...outbox.spawns.map(spawn => [kindSpawn, contentHash('', spawn)] as const),
    ...outbox.assignments.map(entry => [kindAssignment, sha256(utf8(canonicalJson(entry)))] as const),
  ].map(([kind, content], index) => sha256(Uint8Array.of(0, kind), u32(index), content))
  return idFromBytes(merkleRoot(leaves))
}

const kindMessage = 1
const kindSpawn = 2
const kindAssignment = 3

function merkleRoot(level: readonly Uint8Array[]): Uint8Array {
  const [first] = level
  if (first === undefined) return new Uint8Array(32)
  if (level.length === 1) return first
  const above: Uint8Array[] = []
  for (let i = 0; i < level.length; i += 2) {
    const [left, right] = [level[i], level[i + 1]]
    if (left !== undefined) above.push(right === undefined ? left : sha256(Uint8Array.of(1), left, right))
  }
  return merkleRoot(above)
}

function contentHash(target: string, { anchor, tags, data }: OutboxSpawn): Uint8Array {
  // Tags as text, not as ANS-104 bytes: a Process may write more than fit an item, and still has one root.
  return deepHash([utf8(target), utf8(anchor), utf8(canonicalJson(tags)), utf8(data)])
}

const u32 = (value: number): Uint8Array => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

const part = (entry: unknown): OutboxSpawn => {
  const fields = record(entry)
  return { anchor: text(fields['Anchor']), tags: list(fields['Tags']).map(tag), data: text(fields['Data']) }
}

const tag = (entry: unknown): Tag => ({ name: text(record(entry)['name']), value: text(record(entry)['value']) })
const tagToJson = ({ name, value }: Tag): Json => ({ name, value })

const request = (entry: unknown): AssignmentRequest => {
  const fields = record(entry)
  return {
    message: text(fields['Message']),
    processes: list(fields['Processes']).map(text),
    baseLayer: fields['BaseLayer'] === true,
    exclude: list(fields['Exclude']).map(text),
  }
}

const record = (value: unknown): Readonly<Record<string, unknown>> =>
  value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Record<string, unknown>) : {}
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])
/** Numbers and booleans become their JSON text: a Process that writes a number as a tag value still sends it. */
const text = (value: unknown): string =>
  typeof value === 'string' ? value : value === undefined || value === null ? '' : canonicalJson(value)
const json = (value: unknown): Json => (value === undefined ? '' : (value as Json))

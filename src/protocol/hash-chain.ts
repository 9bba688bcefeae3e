import { fromBase64Url, sha256, toBase64Url } from '../lib/bytes.ts'
import { type AssignmentId, idToBytes, type ProcessId } from './ids.ts'

/**
 * Links of the `ao.TN.1` chain: each Assignment commits to the one before it.
 * Source: permaweb/ao servers/su/src/domain/core/scheduler.rs `gen_hash_chain`.
 */
export const firstLink = (process: ProcessId): string => toBase64Url(sha256(idToBytes(process)))

/** @param previous the Assignment before, by its own id and its own link. */
export const nextLink = (previous: { readonly id: AssignmentId; readonly hashChain: string }): string =>
  toBase64Url(sha256(idToBytes(previous.id), fromBase64Url(previous.hashChain)))

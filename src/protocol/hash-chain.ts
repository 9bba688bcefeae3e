import { sha256Text } from '../lib/bytes.ts'
import { type AssignmentId, idToBytes, type ProcessId } from './ids.ts'

/**
 * Links of the `ao.TN.1` chain: each Assignment commits to the one before it.
 * Source: permaweb/ao servers/su/src/domain/core/scheduler.rs `gen_hash_chain`.
 */
export const firstLink = (process: ProcessId): string => sha256Text(idToBytes(process))

/** @param previous the Assignment before, by its own id and its own link. */
export function nextLink(previous: { readonly id: AssignmentId; readonly hashChain: string }): string {
  const end = linked.write(previous.id, 0, 'base64url')
  return sha256Text(linked.subarray(0, end + linked.write(previous.hashChain, end, 'base64url')))
}

/** Two hashes, one after the other: every use ends before the next begins. */
const linked = Buffer.alloc(64)

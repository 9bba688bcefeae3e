import { AoError, type ErrorCode } from '../../lib/errors.ts'
import type { Verdict } from '../../ports/peers.ts'

/**
 * What gossip does with a message whose judge threw. Only what the message itself proves wrong is rejected:
 * blame for what this node does not know, or cannot do now, would punish honest neighbours.
 */
const verdicts = {
  INVALID_ARGUMENT: 'reject',
  INVALID_CONFIG: 'ignore',
  INVALID_DATA_ITEM: 'reject',
  INVALID_ASSIGNMENT: 'reject',
  INVALID_RECORD: 'reject',
  TOO_LARGE: 'reject',
  UNAUTHENTICATED: 'reject',
  NOT_ALLOWED: 'ignore',
  INSUFFICIENT_STAKE: 'ignore',
  INSUFFICIENT_BALANCE: 'ignore',
  UNKNOWN_PROCESS: 'ignore',
  UNKNOWN_MESSAGE: 'ignore',
  UNKNOWN_MODULE: 'ignore',
  WRONG_UNIT: 'ignore',
  WRONG_NETWORK: 'ignore',
  DUPLICATE_EVIDENCE: 'ignore',
  NONCE_GAP: 'ignore',
  // Both sides of an equivocation must travel, or nobody could prove it.
  EQUIVOCATION: 'accept',
  UNSUPPORTED_MODULE: 'ignore',
  UNSUPPORTED: 'ignore',
  OVERLOADED: 'ignore',
  NOT_READY: 'ignore',
  STOPPING: 'ignore',
  LOG_WRITE_FAILED: 'ignore',
  STORE_CORRUPT: 'ignore',
  STORE_LOCKED: 'ignore',
  PORT_IN_USE: 'ignore',
  PEER_UNREACHABLE: 'ignore',
  SETTLEMENT_FAILED: 'ignore',
  DEADLINE: 'ignore',
  ABORTED: 'ignore',
  INTERNAL: 'ignore',
} as const satisfies Record<ErrorCode, Verdict>

export const verdictOf = (error: unknown): Verdict => verdicts[AoError.from(error).code]

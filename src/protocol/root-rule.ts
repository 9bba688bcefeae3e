import { AoError } from '../lib/errors.ts'
import type { Json } from '../lib/json.ts'
import { type Id, idFromBytes, type Nonce, parseId, parseNonce } from './ids.ts'

/**
 * When a state root is due. A root costs as much as a message or two, so not every message has one; but all nodes must
 * sign the same one, so when it is due follows from the log alone: after nonce 0, and after each message at which that
 * much gas or that many messages have gone by since the last root. Failed messages count: they pay gas too.
 */
export interface RootRule {
  readonly everyGas: bigint
  readonly everyMessages: number
}

/**
 * By the price table a Module runs under; part of the meter version. An aos message takes some 40 million gas of `gas-1`,
 * and far more at the old prices: some 50 to 64 messages a root.
 */
export const rootRules = {
  'gas-1': { everyGas: 3_000_000_000n, everyMessages: 64 },
  'legacy-1': { everyGas: 36_000_000_000n, everyMessages: 64 },
} as const satisfies Readonly<Record<string, RootRule>>

/**
 * The newest root of a Process and what has gone by since. It belongs to every copy of the state: a Process that is opened
 * from a copy has the roots of one that ran through only if it goes on counting from here.
 */
export interface RootProgress {
  readonly root: Id
  /** Of the message after which `root` was taken; undefined before the first. */
  readonly nonce: Nonce | undefined
  readonly gasSince: bigint
  readonly messagesSince: number
}

/** Is a root due, these messages and this gas after the last one, the newest message included? */
export const isRootDue = (rule: RootRule, { nonce, gasSince, messagesSince }: Omit<RootProgress, 'root'>): boolean =>
  nonce === undefined || gasSince >= rule.everyGas || messagesSince >= rule.everyMessages

/** Before the first message. */
export const noRoots: RootProgress = {
  root: idFromBytes(new Uint8Array(32)),
  nonce: undefined,
  gasSince: 0n,
  messagesSince: 0,
}

export const rootProgressToJson = ({ root, nonce, gasSince, messagesSince }: RootProgress): Json => ({
  root,
  nonce: nonce ?? null,
  gasSince: String(gasSince),
  messagesSince,
})

/** @throws AoError `STORE_CORRUPT` for what `rootProgressToJson` did not write. */
export function parseRootProgress(json: Json): RootProgress {
  try {
    const { root, nonce, gasSince, messagesSince } = json as { readonly [key: string]: Json }
    return {
      root: parseId(root, 'root'),
      nonce: nonce === null ? undefined : parseNonce(nonce),
      gasSince: BigInt(parseNonce(gasSince, 'gasSince')),
      messagesSince: parseNonce(messagesSince, 'messagesSince'),
    }
  } catch (cause) {
    throw new AoError('STORE_CORRUPT', 'a copy of a state does not tell where its roots stand', {}, { cause })
  }
}

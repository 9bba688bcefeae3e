/** `aonet/client`: what programs need that use a network of AO units without running a node of it. */
import type { AbortOptions } from '../lib/abort.ts'
import { type ConnectOptions, connectNode } from '../network/grpc/connect.ts'
import { type PrivateJwk, type Signer, signerFromJwk } from '../protocol/keys.ts'
import { Client } from './client.ts'

export { AoError, type ErrorCode, hasCode } from '../lib/errors.ts'
export type { NodeInfo } from '../network/grpc/connect.ts'
export type { AttestedResult, CrankPart, CrankProgress, ResultsPage, ResultsQuery } from '../ports/units.ts'
export type { Assignment, ScheduledMessage } from '../protocol/assignment.ts'
export { type Attestation, parseAttestation } from '../protocol/attestation.ts'
export { type DataItem, verifyDataItem } from '../protocol/data-item.ts'
export { type Address, type MessageId, type ModuleId, type Nonce, type ProcessId, parseId } from '../protocol/ids.ts'
export { generateKey, type PrivateJwk, type Signer, signerFromJwk } from '../protocol/keys.ts'
export type { Evaluation, Outbox, Result } from '../protocol/result.ts'
export type { Tag } from '../protocol/tags.ts'
export { type CallOutcome, Client, type SendOptions, type SpawnOptions } from './client.ts'

export interface ClientOptions extends ConnectOptions {
  /** Signs what the client sends: a JWK (RSA or Ed25519), or a signer of your own. */
  readonly wallet: PrivateJwk | Signer
}

/**
 * Connects to a network through any one node of it.
 *
 * @param node `host:port` or `<address>@host:port` of its gRPC services, or the URL of its HTTP server.
 * @throws AoError `INVALID_ARGUMENT` | `PEER_UNREACHABLE` | `UNAUTHENTICATED`
 */
export async function connect(node: string, { wallet, ...options }: ClientOptions & AbortOptions): Promise<Client> {
  return new Client(await connectNode(node, options), isSigner(wallet) ? wallet : signerFromJwk(wallet))
}

const isSigner = (wallet: PrivateJwk | Signer): wallet is Signer => typeof wallet['sign'] === 'function'

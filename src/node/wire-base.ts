import { GatewayClient } from '../arweave/gateway-client.ts'
import { type Clock, systemClock } from '../lib/clock.ts'
import type { Certificate } from '../network/grpc/certificate.ts'
import type { OwnSession } from '../ports/session.ts'
import type { Address } from '../protocol/ids.ts'
import type { Signer } from '../protocol/keys.ts'
import { type NetworkParams, paramsHash } from '../protocol/params.ts'
import type { DiskRoom } from '../storage/disk-room.ts'
import type { Store } from '../storage/store.ts'
import type { NodeKeys } from './identity.ts'
import type { NodeOptions } from './settings.ts'
import type { NodeTelemetry } from './telemetry.ts'
import { networkParams, payerWallet } from './wire-units.ts'

export interface WireInput {
  readonly options: NodeOptions
  readonly keys: NodeKeys
  readonly telemetry: NodeTelemetry
  readonly store: Store
  /** Of checkpoints alone. */
  readonly checkpoints: Store
  /** On the disk of both. */
  readonly room: DiskRoom
  readonly certificate: Certificate
  readonly version: string
  readonly session: OwnSession
}

/** What every part of a node is built on. */
export interface WireBase extends WireInput {
  readonly signer: Signer
  readonly address: Address
  readonly clock: Clock
  readonly arweave: GatewayClient
  readonly params: NetworkParams
  /** Of the parameters: nodes with another one are of another network. */
  readonly networkHash: string
  readonly isTestnet: boolean
}

/** @throws AoError `INVALID_CONFIG` if an SU has no wallet that pays. */
export function wireBase(input: WireInput): WireBase {
  const { options, keys, telemetry } = input
  const { signer } = keys
  const params = networkParams(options)
  return {
    ...input,
    signer,
    address: signer.address,
    clock: systemClock,
    arweave: new GatewayClient(telemetry, { gatewayUrl: options.arweaveUrl, wallet: payerWallet(options) }),
    params,
    networkHash: paramsHash(params),
    isTestnet: params.network === 'testnet',
  }
}

/** What nearly every unit needs of it. */
export const sharedOf = ({ signer, address, arweave, clock, telemetry }: WireBase) => ({
  ...{ signer, address, arweave, clock, telemetry },
})

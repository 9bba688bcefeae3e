import type { UnitRecord } from '../../protocol/unit-record.ts'

/** Whom a stream is opened to. */
export type TunnelPeer = Pick<UnitRecord, 'peer' | 'multiaddrs'>

/** Another way to a unit's gRPC services than dialling its endpoint. */
export interface Tunnel {
  /**
   * A target for grpc-js that leads to the unit; to be closed when it is no longer called.
   *
   * @throws AoError `STOPPING`
   */
  open(peer: TunnelPeer): { readonly target: string; close(): void }
}

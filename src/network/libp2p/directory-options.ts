import type { Clock } from '../../lib/clock.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import type { RecordStore } from '../../ports/record-store.ts'
import type { Signer } from '../../protocol/keys.ts'
import type { UnitRecordFields } from '../../protocol/unit-record.ts'
import type { Libp2pGossip } from './gossip.ts'
import type { Libp2pHost } from './host.ts'

export interface Libp2pDirectoryDeps extends Telemetry {
  readonly clock: Clock
  readonly host: Libp2pHost
  readonly gossip: Libp2pGossip
  /** The unit key. */
  readonly signer: Signer
  /** Without it nothing is kept over a restart. */
  readonly saved?: RecordStore | undefined
}

/** What this node says of itself; when, the directory adds. */
export type OwnRecord = Omit<UnitRecordFields, 'issuedAt' | 'expiresAt'>

export interface Libp2pDirectoryOptions {
  /** Asked before each publication, so that roles and addresses may change while the node lives. */
  describe(): OwnRecord
  /** How often the own record is signed and published anew. Default 20 s. */
  readonly refreshMs?: number
  /** How long a record is believed: a node may miss three refreshes. Default 90 s, at the most 10 minutes. */
  readonly lifetimeMs?: number
  /** Units known at once. */
  readonly maxRecords?: number
  /** Connections that this node opens by itself to peers it knows from records. */
  readonly targetConnections?: number
}

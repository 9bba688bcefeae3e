import type { Json } from '../lib/json.ts'
import type { Address } from '../protocol/ids.ts'
import type { Session } from '../protocol/unit-record.ts'
import type { Tracer } from './trace.ts'

export interface RecalledBytes {
  readonly record: Uint8Array | undefined
  readonly assignments: readonly Uint8Array[]
  /** If the unit is this node: which start of it. */
  readonly session: Session | undefined
}

/** What a node tells about itself and about the units it knows. Called at each question, so it may change. */
export interface NodeInfoSource {
  /** Signed bytes of the node's own unit record, as it is now. */
  record(): Uint8Array
  readonly version: string
  /** Name of the network. */
  readonly network: string
  /** URL of the Arweave gateway this node settles to. */
  readonly arweave: string
  /** Counts and states for people. Never keys or payloads. */
  status(): Promise<Record<string, Json>>
  /** Signed bytes of the records of all living units, this node's own among them. */
  records(): readonly Uint8Array[]
  /** What this node remembers of a unit, as signed bytes. Absent where nothing is remembered. */
  readonly recall?: ((address: Address) => RecalledBytes) | undefined
  /** Takes a unit record that an asker brought, as signed bytes. */
  readonly take?: ((record: Uint8Array) => Promise<void>) | undefined
  /** Absent where nothing is traced. */
  readonly tracer?: Tracer | undefined
}

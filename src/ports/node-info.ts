import type { Json } from '../lib/json.ts'
import type { Tracer } from './trace.ts'

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
  /** Absent where nothing is traced. */
  readonly tracer?: Tracer | undefined
}

import { copyOf } from '../../lib/bytes.ts'
import { AoError } from '../../lib/errors.ts'
import type { NodeInfoSource } from '../../ports/node-info.ts'
import { type ProcessId, parseAddress, parseId } from '../../protocol/ids.ts'
import { sessionText } from '../../protocol/unit-record.ts'
import type { CallRunner } from './call-runner.ts'
import { atFromWire, jsonToWire } from './convert.ts'
import type { NodeServer } from './generated/ao/v1/node.ts'

/** What the node says about itself. */
export const nodeService = (calls: CallRunner, node: NodeInfoSource): NodeServer => ({
  getInfo: calls.unary(async () => ({
    record: node.record(),
    version: node.version,
    network: node.network,
    arweave: node.arweave,
    status: jsonToWire(await node.status()),
  })),
  trace: calls.unary(async ({ process, at }, options) => {
    if (node.tracer === undefined) throw new AoError('UNSUPPORTED', 'this node traces no messages')
    const trace = await node.tracer.trace(parseId<ProcessId>(process, 'process'), atFromWire(at), options)
    return { trace: jsonToWire(trace) }
  }),
  recallUnit: calls.unary(async ({ address, record: brought }) => {
    if (brought.length > 0) await node.take?.(copyOf(brought))
    const { record, assignments = [], session } = node.recall?.(parseAddress(address)) ?? {}
    return { record, assignments: [...assignments], session: session === undefined ? '' : sessionText(session) }
  }),
  listUnits: calls.unary(async () => ({ records: [...node.records()] })),
})

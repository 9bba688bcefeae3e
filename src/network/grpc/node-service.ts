import type { NodeInfoSource } from '../../ports/node-info.ts'
import type { CallRunner } from './call-runner.ts'
import { jsonToWire } from './convert.ts'
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
  listUnits: calls.unary(async () => ({ records: [...node.records()] })),
})

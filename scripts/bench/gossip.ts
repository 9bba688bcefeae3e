// How soon gossip reaches all nodes, and what it costs: bytes handed to links per byte delivered. A perfect tree would
// send each message once to each node (1.0); the mesh sends it some times more, and that is what finds its way around
// failures. `ratioToLimit` compares p99 with 2 s (50 nodes) and 5 s (200 nodes), all nodes being one busy process.
import { randomBytes } from 'node:crypto'
import type { BenchLine } from './main.ts'
import { GossipNet } from './support/gossip-net.ts'

const sizes = [
  { nodes: 50, links: 6, limitMs: 2_000, messages: 40 },
  { nodes: 200, links: 5, limitMs: 5_000, messages: 10 },
] as const
const bytes = 2_048

export default async function* gossip(): AsyncIterable<BenchLine> {
  for (const { nodes, links, limitMs, messages } of sizes) {
    const net = new GossipNet()
    try {
      await net.start(nodes, links)
      let reached = 0
      for (let i = 0; i < messages; i++) reached += await net.publish((i * 17) % nodes, randomBytes(bytes))
      const seen = [...net.seen].sort((a, b) => a - b)
      const at = (share: number): number => Math.round(seen[Math.floor(seen.length * share)] ?? Number.NaN)
      const p99 = at(0.99)
      yield {
        case: `${nodes} nodes, 2 KB`,
        reached: Number((reached / (messages * (nodes - 1))).toFixed(4)),
        p50: at(0.5),
        p99,
        bytesSentPerByteDelivered: Number((net.sent / (reached * bytes)).toFixed(2)),
        meshDegree: Number(net.meshDegree.toFixed(1)),
        ratioToLimit: Number((limitMs / Math.max(1, p99)).toFixed(1)),
      }
    } finally {
      await net.stop()
    }
  }
}

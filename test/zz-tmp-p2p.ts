import { startNetwork, stopAll } from './integration/libp2p/test-node.ts'
import { eventually } from './support/eventually.ts'
const nodes = await startNetwork(['a', 'b', 'c', 'd', 'e'])
await eventually('l', () => nodes.every(n => n.host.peers.size === 4), 20000)
let got = 0
const per = nodes.map(() => 0)
nodes.forEach((n, i) => n.gossip.subscribe('assignments', async () => { got++; per[i]!++; return 'accept' }))
await eventually('s', () => nodes.every(n => n.gossip.subscribers('assignments').length === 4))
for (const N of [500, 500]) {
got = 0; per.fill(0); const t4 = performance.now(); const c0 = process.cpuUsage()
for (let i = 0; i < N; i++) { const b = Buffer.alloc(2048, 2); b.writeDoubleBE(Math.random(), 8); await nodes[2]!.gossip.publish('assignments', b) }
const pub = performance.now() - t4
let last = 0, at = 0
await eventually('flood', () => { if (got !== last) { last = got; at = performance.now() } return got >= N * 4 }, 40000).catch(() => console.log('lost', N * 4 - got))
const c = process.cpuUsage(c0)
console.log(JSON.stringify({ N, pub, all: performance.now() - t4, cpuMs: (c.user + c.system) / 1000, per }))
}
await stopAll(nodes)

// How long a new node needs until it knows 50 units, from its start with one bootstrap address: dial, handshake,
// exchange of records and 50 signatures verified. `ratioToLimit` compares the median with 5 s.
import { memory } from '@libp2p/memory'
import { TestNode } from '../../test/integration/libp2p/test-node.ts'
import { eventually } from '../../test/support/eventually.ts'
import type { BenchLine } from './main.ts'
import { median } from './support/measure.ts'

const units = 50
const rounds = 3
const limitMs = 5_000

export default async function* discover(): AsyncIterable<BenchLine> {
  const nodes: TestNode[] = []
  const start = async (name: string, bootstrap: readonly string[]): Promise<TestNode> => {
    const options = {
      listen: [`/memory/${name}`],
      bootstrap,
      transports: [memory()],
      directory: { targetConnections: 4 },
      dht: false, // 51 of them in one process would measure each other's upkeep
    }
    const node = new TestNode(name, options)
    nodes.push(node)
    return node.start()
  }
  try {
    const first = await start('unit-0', [])
    for (let i = 1; i < units; i++) await start(`unit-${i}`, [first.multiaddr])
    await eventually('the first knows all', () => first.directory.all().length === units, 120_000)
    const times: number[] = []
    for (let i = 0; i < rounds; i++) {
      const began = performance.now()
      const node = await start(`new-${i}`, [first.multiaddr])
      await eventually('it knows all', () => node.directory.all().length >= units + 1, 60_000)
      times.push(performance.now() - began)
      await node.stop()
    }
    const ms = Math.round(median(times))
    yield { case: `${units} units known to a new node`, ms, ratioToLimit: Number((limitMs / ms).toFixed(1)) }
  } finally {
    await Promise.all(nodes.map(node => node.stop()))
  }
}

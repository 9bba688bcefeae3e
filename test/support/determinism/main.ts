import { Pools } from '../modules/pools.ts'
import { continuous, type Digest } from './digest.ts'
import { scenarios } from './scenarios.ts'

// Prints the digest of each scenario named, or of all, as one JSON object. Runs on any Node, with any flags of V8.

const wanted = process.argv.slice(2)
const pools = new Pools()
const pool = await pools.start()
const digests: Record<string, Digest> = {}
for (const scenario of scenarios) {
  if (wanted.length > 0 && !wanted.includes(scenario.name)) continue
  digests[scenario.name] = await continuous(scenario, pool)
}
await pools.stop()
process.stdout.write(`${JSON.stringify(digests, null, 2)}\n`)

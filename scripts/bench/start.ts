import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { silentLogger } from '../../src/lib/telemetry.ts'
import { createKey } from '../../src/node/keys.ts'
import { generateKey, signerFromJwk } from '../../src/protocol/keys.ts'
import { openStore } from '../../src/storage/level.ts'
import { LevelAssignmentLog } from '../../src/storage/level-assignment-log.ts'
import type { BenchLine } from './main.ts'
import { median } from './support/measure.ts'
import { fill, workload } from './support/su-support.ts'

const rounds = 5
const processes = 10_000

/**
 * From the command to the node's word that it is ready, in turns with logs of the sizes in AONET_BENCH_LOG (1,000 to
 * 10,000 Processes). `ratioToLimit`: Node's own start, with nothing to run, against ours.
 */
export default async function* start(): AsyncIterable<BenchLine> {
  const sizes = (process.env['AONET_BENCH_LOG'] ?? '0,100000').split(',').map(Number)
  const dir = await mkdtemp(join(tmpdir(), 'aonet-bench-'))
  try {
    createKey(join(dir, 'payer.json'), 'rsa')
    for (const size of sizes) await prepare(join(dir, String(size)), size)
    const found = new Map<number, Started[]>(sizes.map(size => [size, []]))
    const bare: number[] = []
    for (let round = 0; round < rounds; round++) {
      bare.push(await bareNode())
      for (const size of sizes) found.get(size)?.push(await startOnce(dir, size))
    }
    const first = found.get(sizes[0] ?? 0) ?? []
    for (const [size, own] of found) {
      yield {
        case: `log of ${size}`,
        readyMs: Math.round(median(own.map(({ ms }) => ms))),
        cpuMs: Math.round(median(own.map(({ cpuMs }) => cpuMs))),
        rssMb: Math.round(median(own.map(({ rssMb }) => rssMb))),
        ratioToLimit: Number(median(own.map(({ ms }, i) => (bare[i] ?? 0) / ms)).toFixed(3)),
        flat: Number(median(own.map(({ cpuMs }, i) => (first[i]?.cpuMs ?? 0) / cpuMs)).toFixed(2)),
      }
    }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

async function prepare(dataDir: string, size: number): Promise<void> {
  const { signer } = createKey(join(dataDir, 'key.json'), 'ed25519')
  if (size === 0) return
  const store = await openStore(join(dataDir, 'store'), { log: silentLogger })
  const log = new LevelAssignmentLog(store)
  const user = signerFromJwk(generateKey('ed25519'))
  const { spawns } = await workload(signer, user, { processes: Math.min(processes, size / 10), count: 0 })
  await fill(log, spawns, size)
  await store.close()
}

interface Started {
  readonly ms: number
  readonly cpuMs: number
  readonly rssMb: number
}

async function startOnce(dir: string, size: number): Promise<Started> {
  const cli = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))
  const config = join(dir, `${size}.yaml`)
  const settings = { dataDir: join(dir, String(size)), roles: 'SU', arweaveWallet: join(dir, 'payer.json') }
  writeFileSync(config, `${JSON.stringify({ ...settings, roles: ['SU'], arweaveUrl: 'http://127.0.0.1:9' })}\n`)
  const begun = performance.now()
  const child = spawn(process.execPath, [cli, 'start', '--config', config], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(child, 'exit')
  for await (const line of createInterface({ input: child.stdout })) {
    if (!line.includes('node-started')) continue
    const ms = performance.now() - begun
    const started = { ms, cpuMs: cpuOf(child.pid ?? 0), rssMb: rssOf(child.pid ?? 0) }
    child.kill('SIGTERM')
    child.stdout.resume()
    await ended
    return started
  }
  throw new Error(`the node with a log of ${size} did not start`)
}

async function bareNode(): Promise<number> {
  const begun = performance.now()
  await once(spawn(process.execPath, ['-e', ''], { stdio: 'ignore' }), 'exit')
  return performance.now() - begun
}

/** Clock ticks of user and system time, at 100 a second; Linux only, as is `rssOf`. */
function cpuOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}

const rssOf = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024

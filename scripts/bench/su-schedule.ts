import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { verifyDataItem } from '../../src/protocol/data-item.ts'
import { generateKey, type Signer, signerFromJwk } from '../../src/protocol/keys.ts'
import type { BenchLine } from './main.ts'
import { median } from './support/measure.ts'
import { ClientProcess, writeMessages } from './support/su-grpc.ts'
import { answerTimes } from './support/su-latency.ts'
import { benchUnit, cores, fill, measureParts, sumOf, type Workload, workload } from './support/su-support.ts'
import { assertOrdered, grpcWay, inProgram, type Site, type Way } from './support/su-ways.ts'

const rounds = 5
/** Messages of one round, and one round more to warm up. */
const perRound = 768

/**
 * Durable assignments a second against the sum of what one must cost, measured in turns in the same run; then how long
 * an answer takes, idle, at half load and beside a hot Process. AONET_BENCH_LOG names the sizes of the log to begin
 * with, such as 0,100000,1000000: `flat` compares each with the first, round by round. AONET_BENCH_KINDS and
 * AONET_BENCH_PROCESSES name some of the cases.
 */
export default async function* suSchedule(): AsyncIterable<BenchLine> {
  const scheduler = signerFromJwk(generateKey('ed25519'))
  const sizes = (process.env['AONET_BENCH_LOG'] ?? '0,100000').split(',').map(Number)
  const dir = await mkdtemp(join(tmpdir(), 'aonet-bench-'))
  const client = new ClientProcess()
  const sites: Site[] = []
  try {
    for (const size of sizes) sites.push(await openSite(scheduler, client, size))
    for (const kind of ['ed25519', 'rsa'] as const) {
      if (!(process.env['AONET_BENCH_KINDS'] ?? kind).split(',').includes(kind)) continue
      const user = signerFromJwk(generateKey(kind))
      for (const processes of (process.env['AONET_BENCH_PROCESSES'] ?? '1,8,1000').split(',').map(Number)) {
        const load = await workload(scheduler, user, { processes, count: 2 * (rounds + 1) * perRound })
        const file = join(dir, `${kind} ${processes}`)
        await writeMessages(file, load.messages)
        for await (const line of measured(sites, load, file)) yield { ...line, case: `${kind}, ${line.case}` }
      }
    }
    for (const site of sites) yield { case: `log of ${site.size}`, ...site.filled }
    if (process.env['AONET_BENCH_PROCESSES'] !== undefined) return
    for (const site of sites.slice(0, 1)) yield* answerTimes(scheduler, site.su)
  } finally {
    for (const site of sites) await site.close()
    await client.stop()
    await rm(dir, { recursive: true, force: true })
  }
}

async function openSite(scheduler: Signer, client: ClientProcess, size: number): Promise<Site> {
  const su = await benchUnit(scheduler)
  const { spawns } = await workload(scheduler, scheduler, { processes: Math.min(10_000, size / 100), count: 0 })
  const before = process.memoryUsage.rss()
  if (size > 0) {
    await Promise.all(spawns.map(spawn => su.unit.schedule(spawn)))
    await fill(su.log, spawns, size - spawns.length)
  }
  const filled = {
    processes: spawns.length,
    rssMb: megabytes(process.memoryUsage.rss()),
    rssBeforeMb: megabytes(before),
  }
  const grpc = await grpcWay(client, scheduler, su.unit)
  return {
    ...{ size, su, filled, ways: [inProgram(su.unit), grpc] },
    close: async () => {
      await grpc.close()
      await su.close()
    },
  }
}

interface Round {
  readonly rate: number
  readonly limit: number
  readonly cpu: number
  readonly leastCpu: number
}

/** All sizes and ways in turns, so that what else the machine does meets them alike. */
async function* measured(sites: readonly Site[], load: Workload, file: string): AsyncIterable<BenchLine> {
  const { spawns, messages } = load
  const before = new Map<Site, number>()
  for (const site of sites) {
    await Promise.all(spawns.map(spawn => site.su.unit.schedule(spawn)))
    before.set(site, await site.su.log.size())
  }
  const sample = await verifyDataItem(messages[0] ?? new Uint8Array(0))
  const found = new Map<Way, Round[]>()
  for (let round = 0; round <= rounds; round++) {
    for (const site of sites) {
      const parts = await measureParts(sample, site.su.store)
      for (const [i, way] of site.ways.entries()) {
        const from = (2 * round + i) * perRound
        const one = await oneRound(way, { load, file, from, to: from + perRound }, parts)
        if (round > 0) found.set(way, [...(found.get(way) ?? []), one])
      }
    }
  }
  for (const site of sites) await assertOrdered(site.su, load, before.get(site) ?? 0)
  for (const [w] of sites[0]?.ways.entries() ?? []) {
    const first = found.get(sites[0]?.ways[w] as Way) ?? []
    for (const { size, ways } of sites) {
      const way = ways[w] as Way
      const own = found.get(way) ?? []
      const flat = median(own.map(({ rate }, i) => rate / (first[i]?.rate ?? Number.NaN)))
      yield {
        case: `${spawns.length} processes, log of ${size}, ${way.name}`,
        ...summary(own),
        flat: rounded(flat, 100),
      }
    }
  }
}

async function oneRound(
  way: Way,
  range: { load: Workload; file: string; from: number; to: number },
  parts: Awaited<ReturnType<typeof measureParts>>,
): Promise<Round> {
  const extra = await way.extra(range)
  const cpu = process.cpuUsage()
  const ran = await way.submit(range)
  const { user, system } = process.cpuUsage(cpu)
  return {
    rate: (perRound * 1000) / ran.ms,
    limit: (1000 * cores) / (sumOf(parts.wall) + extra),
    cpu: ((user + system) / 1000 + ran.cpu) / perRound,
    leastCpu: sumOf(parts.cpu) + extra,
  }
}

const summary = (found: readonly Round[]) => ({
  ratioToLimit: rounded(median(found.map(({ rate, limit }) => rate / limit)), 100),
  ours: Math.round(median(found.map(({ rate }) => rate))),
  limit: Math.round(median(found.map(({ limit }) => limit))),
  // On a machine that others use too, this says more: processor time that must be, of what was.
  ratioOfCpu: rounded(median(found.map(({ cpu, leastCpu }) => leastCpu / cpu)), 100),
  cpuMsPerMessage: rounded(median(found.map(({ cpu }) => cpu)), 1000),
})

const megabytes = (bytes: number): number => Math.round(bytes / 2 ** 20)
const rounded = (value: number, scale: number): number => Math.round(value * scale) / scale

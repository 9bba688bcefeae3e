import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger } from '../../../src/lib/telemetry.ts'
import type { ResultsQuery } from '../../../src/ports/units.ts'
import { type Assignment, draftAssignment, nextAssignment, parseAssignment } from '../../../src/protocol/assignment.ts'
import { buildDataItem } from '../../../src/protocol/data-item.ts'
import { type Id, idFromBytes, type MessageId, type Nonce, type ProcessId } from '../../../src/protocol/ids.ts'
import { emptyOutbox, type Result } from '../../../src/protocol/result.ts'
import { openStore } from '../../../src/storage/level.ts'
import { LevelResultStore } from '../../../src/storage/level-result-store.ts'
import { resultsPage } from '../../../src/units/compute/results-page.ts'
import type { BenchLine } from '../main.ts'
import { round } from './crank-bench.ts'
import { median } from './measure.ts'

const length = 100_000
const limit = 25

/** Pages of 25 results at the beginning, in the middle and at the end of 100,000: the ratio is beginning to end. */
export async function* pagesOfResults(): AsyncIterable<BenchLine> {
  const dir = await mkdtemp(join(tmpdir(), 'aonet-bench-'))
  const store = await openStore(dir, { log: silentLogger })
  const results = new LevelResultStore(store)
  const process = idFromBytes(randomBytes(32)) as ProcessId
  try {
    await fill(results, process)
    for (const descending of [false, true]) yield await flatness(results, process, descending)
  } finally {
    await store.close()
    await rm(dir, { recursive: true, force: true })
  }
}

const places = ['first', 'middle', 'last'] as const

async function flatness(results: LevelResultStore, process: ProcessId, descending: boolean): Promise<BenchLine> {
  const at = { first: 0, middle: length / 2, last: length - limit - 2 }
  const taken: Record<keyof typeof at, number[]> = { first: [], middle: [], last: [] }
  for (let turn = 0; turn < 60; turn++) {
    for (const place of places) {
      const skipped = at[place]
      const query = descending
        ? { to: { nonce: (length - 1 - skipped) as Nonce }, descending, limit }
        : { after: { nonce: skipped as Nonce }, descending, limit }
      const start = performance.now()
      await onePage(results, process, query)
      taken[place].push(performance.now() - start)
    }
  }
  const [first, middle, last] = places.map(place => median(taken[place])) as [number, number, number]
  return {
    case: `a page of ${limit} results of ${length}, ${descending ? 'newest' : 'oldest'} first: the first page to the last`,
    ratioToLimit: round(first / last),
    ...{ firstPageMs: round(first, 3), middlePageMs: round(middle, 3), lastPageMs: round(last, 3) },
  }
}

async function onePage(results: LevelResultStore, process: ProcessId, query: ResultsQuery): Promise<void> {
  const deps = {
    results,
    newest: async () => (length - 1) as Nonce,
    reach: async () => undefined,
    reachNow: async () => undefined,
  }
  const { rows } = await resultsPage(deps, { process, query }, { catchUpMs: 1_000, maxPageBytes: 8 << 20 })
  if (rows.length !== limit) throw new Error(`a page has ${rows.length} rows`)
}

/** Rows whose signatures are random: the store does not check them. */
async function fill(results: LevelResultStore, process: ProcessId): Promise<void> {
  const forged = { signatureType: 2, ownerKey: randomBytes(32), sign: () => randomBytes(64) } as const
  const block = { height: 1_500_000, hash: 'block', timestamp: 1 }
  const attestation = randomBytes(1024)
  let previous: Assignment | undefined
  let writes: Promise<void>[] = []
  for (let nonce = 0; nonce < length; nonce++) {
    const message = (nonce === 0 ? process : idFromBytes(randomBytes(32))) as Id as MessageId
    const fields = nextAssignment(previous, { process, message, now: 1_700_000_000_000 + nonce, block })
    previous = parseAssignment(await buildDataItem(draftAssignment(fields), forged))
    const result = { process, nonce: nonce as Nonce, outbox: emptyOutbox, output: `count ${nonce}`, error: undefined }
    const state = { gasUsed: 1000n, stateRoot: process as Id, stateNonce: 0 as Nonce }
    writes.push(results.put({ assignment: previous, result: { ...result, ...state } as Result, attestation }))
    if (writes.length < 1_000) continue
    await Promise.all(writes)
    writes = []
  }
}

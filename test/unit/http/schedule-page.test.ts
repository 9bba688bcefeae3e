import assert from 'node:assert/strict'
import { type PageBytes, type PageQuery, type PageSource, schedulePage } from '../../../src/http/schedule-page.ts'
import { AoError } from '../../../src/lib/errors.ts'
import type { ScheduledMessage } from '../../../src/protocol/assignment.ts'
import type { DataItem } from '../../../src/protocol/data-item.ts'
import { aProcess, messages, processIdOf, schedule } from '../../support/builders.ts'

/** A schedule of `count` rows, `timeOf` each. */
async function aSchedule(count: number, timeOf: (nonce: number) => number) {
  const item = await aProcess()
  const built = await schedule(item, await messages(item, count - 1))
  const rows = built.map((row, i) => ({ ...row, assignment: { ...row.assignment, timestamp: timeOf(i) } }))
  const page = async (query: Partial<PageQuery>, bytes?: PageBytes) => {
    const asked = { by: 'timestamp', limit: 100, ...query } as const
    const options = bytes === undefined ? {} : { bytes }
    const { rows: found, hasNext } = await schedulePage(
      sourceOf(rows),
      { process: processIdOf(item), query: asked },
      options,
    )
    return {
      nonces: found.map(({ assignment }) => assignment.nonce as number),
      last: found.at(-1)?.assignment,
      hasNext,
    }
  }
  return { item, page }
}

const sourceOf = (rows: readonly ScheduledMessage[]): PageSource => ({
  async assignment(process, at) {
    const found = at === 'newest' ? rows.at(-1) : rows[Number(at)]
    if (found === undefined) throw new AoError('UNKNOWN_MESSAGE', 'no such row', { process })
    return found.assignment
  },
  async *read(_process, { from, to }) {
    yield* rows.slice(from, to === undefined ? undefined : to + 1)
  },
})

describe('http/schedule-page', () => {
  it('never splits messages of one millisecond over two pages, and misses none', async () => {
    const { page } = await aSchedule(12, i => 100 + Math.floor(i / 3))
    const seen: number[] = []
    for (let [from, more] = [undefined as number | undefined, true]; more && seen.length < 100; ) {
      const { nonces, last, hasNext } = await page({ from, limit: 2 })
      assert.equal(nonces.length, 3)
      seen.push(...nonces)
      from = last?.timestamp
      more = hasNext
    }
    assert.deepEqual(
      seen,
      Array.from({ length: 12 }, (_, i) => i),
    )
  })

  it('keeps to its bounds by time: from exclusive, to inclusive', async () => {
    const { page } = await aSchedule(10, i => 1_000 + i)
    const within = { from: 1_002, to: 1_005 }
    assert.deepEqual((await page(within)).nonces, [3, 4, 5])
    assert.equal((await page({ ...within, limit: 3 })).hasNext, false)
    assert.equal((await page({ ...within, limit: 2 })).hasNext, true)
    assert.deepEqual((await page({ from: 9_999 })).nonces, [])
    assert.deepEqual((await page({ from: 0 })).nonces.length, 10)
  })

  it('may end anywhere when paging by nonce', async () => {
    const { page } = await aSchedule(10, () => 7)
    const { nonces, hasNext } = await page({ by: 'nonce', from: 4, limit: 2 })
    assert.deepEqual([nonces, hasNext], [[5, 6], true])
    assert.deepEqual((await page({ by: 'nonce', from: 4, to: 6, limit: 2 })).hasNext, false)
    assert.deepEqual((await page({ by: 'nonce', to: 1 })).nonces, [0, 1])
  })

  it('ends a page that grows too large in bytes, and refuses one millisecond that does', async () => {
    const apart = await aSchedule(10, i => i)
    const size = (await bytesOf(apart.item)) * 2
    const { nonces, hasNext } = await apart.page({}, { soft: size * 2, hard: size * 100 })
    assert.ok(nonces.length < 10 && nonces.length > 1, `${nonces.length} rows`)
    assert.equal(hasNext, true)
    const together = await aSchedule(10, () => 7)
    await assert.rejects(together.page({}, { soft: size, hard: size * 2 }), { code: 'TOO_LARGE' })
    assert.ok((await together.page({ by: 'nonce' }, { soft: size, hard: size * 20 })).nonces.length > 0)
  })
})

const bytesOf = async ({ raw }: DataItem): Promise<number> => raw.length

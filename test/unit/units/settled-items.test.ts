import assert from 'node:assert/strict'
import { MemoryArweave } from '../../../src/arweave/memory-arweave.ts'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import type { ScheduledMessage } from '../../../src/protocol/assignment.ts'
import { packBundle } from '../../../src/protocol/bundle.ts'
import type { Id, Nonce, ProcessId } from '../../../src/protocol/ids.ts'
import { emptyOutbox } from '../../../src/protocol/result.ts'
import { MemoryResultStore } from '../../../src/storage/memory.ts'
import { defaultSettledItemsOptions, SettledItems } from '../../../src/units/compute/settled-items.ts'
import { anId, aProcess, messages, processIdOf, schedule } from '../../support/builders.ts'

describe('units/compute: kept items', () => {
  let results: MemoryResultStore
  let arweave: MemoryArweave
  let gauges: Map<string, () => number>
  let pruning: SettledItems

  const telemetry = {
    ...silentTelemetry,
    metrics: {
      ...silentTelemetry.metrics,
      gauge: (name: string, _help: string, read?: () => number) => {
        if (read !== undefined) gauges.set(name, read)
        return { set: () => undefined }
      },
    },
  }
  beforeEach(() => {
    results = new MemoryResultStore()
    arweave = new MemoryArweave()
    gauges = new Map()
    pruning = new SettledItems({ results, arweave, telemetry })
  })

  const evaluated = async (data: string, count: number): Promise<readonly ScheduledMessage[]> => {
    const item = await aProcess({ data })
    const rows = await schedule(item, await messages(item, count))
    for (const { assignment, message } of rows) {
      const { process, nonce } = assignment
      const said = { outbox: emptyOutbox, output: '', error: undefined, gasUsed: 0n }
      const result = { ...said, process, nonce, stateRoot: anId(), stateNonce: nonce }
      await results.put({ assignment, message, attestation: Uint8Array.of(1), result })
    }
    return rows
  }
  const bundle = async (rows: readonly ScheduledMessage[]): Promise<void> => {
    const items = rows.flatMap(({ assignment, message }) => [
      ...(message === undefined ? [] : [message]),
      { id: assignment.id as Id as never, raw: assignment.raw },
    ])
    await arweave.post(await arweave.prepare(packBundle(items)))
  }
  const settle = (blocks: number): void => {
    for (let i = 0; i < blocks; i++) arweave.mine()
  }
  /** Until the round is over. */
  const round = async (): Promise<void> => {
    for (let i = 0; i < 100; i++) if ((await pruning.step()) === defaultSettledItemsOptions.roundMs) return
    assert.fail('the round does not end')
  }
  const kept = async (process: ProcessId): Promise<Nonce[]> =>
    (await results.keptItems(undefined, 1_000)).filter(place => place.process === process).map(({ nonce }) => nonce)

  it('go once they are ten blocks deep on Arweave, in the order in which they were settled', async () => {
    const [one, other] = [await evaluated('one', 5), await evaluated('other', 2)]
    const [first, second] = [processIdOf(one[0]?.message as never), processIdOf(other[0]?.message as never)]
    await bundle([...one.slice(0, 2), ...other.slice(0, 1)])
    settle(5)
    await round()
    assert.equal((await kept(first)).length, 6) // not deep enough
    await bundle(one.slice(2, 4))
    settle(6)
    await round()
    assert.deepEqual(
      [await kept(first), await kept(second)],
      [
        [2, 3, 4, 5],
        [1, 2],
      ],
    )
    assert.equal(gauges.get('aonet_compute_kept_items')?.(), 6)
    settle(6)
    await round()
    assert.deepEqual(
      [await kept(first), await kept(second)],
      [
        [4, 5],
        [1, 2],
      ],
    )
    const bytes = [...one.slice(4), ...other.slice(1)].reduce((sum, { message }) => sum + (message?.raw.length ?? 0), 0)
    assert.equal(gauges.get('aonet_compute_kept_item_bytes')?.(), bytes)
    assert.equal((await results.get(first, 0 as Nonce))?.assignment.id, one[0]?.assignment.id)
  })

  it('stay if Arweave has the Assignment without the message, or something else under its id', async () => {
    const [without, lied] = [await evaluated('without', 1), await evaluated('lied', 1)]
    await bundle(without.map(({ assignment }) => ({ assignment, message: undefined })))
    const broken = lied.map(({ assignment, message }) => {
      assert.ok(message)
      const raw = Buffer.from(message.raw)
      raw[raw.length - 1] = (raw[raw.length - 1] ?? 0) ^ 1
      return { assignment, message: { ...message, raw } }
    })
    await bundle(broken as never)
    settle(20)
    await round()
    assert.equal((await results.keptItems(undefined, 10)).length, 4)
    await bundle(without)
    settle(20)
    await round()
    assert.equal((await results.keptItems(undefined, 10)).length, 4) // an index may name the first bundle for ever
  })
})

import assert from 'node:assert/strict'
import { MemoryArweave } from '../../../src/arweave/memory-arweave.ts'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import type { BlockAnchor } from '../../../src/protocol/assignment.ts'
import { ChainHead } from '../../../src/units/scheduler/chain-head.ts'
import { eventually } from '../../support/eventually.ts'

const hasLooked = (head: ChainHead): boolean => {
  try {
    return head.current().height > 0
  } catch {
    return false
  }
}

describe('units/scheduler: the block that Assignments name', () => {
  it('lies so many below the newest that a fork of Arweave does not make it a false one', async () => {
    const arweave = new MemoryArweave({ startHeight: 1 })
    const blocks: BlockAnchor[] = [await arweave.head()]
    for (let i = 0; i < 4; i++) blocks.push(arweave.mine())
    const heads = [0, 3].map(depth => new ChainHead({ arweave, telemetry: silentTelemetry }, { pollMs: 5, depth }))
    const [newest, settled] = heads
    assert.ok(newest && settled)
    assert.throws(() => settled.current(), { code: 'NOT_READY' })
    for (const head of heads) await head.start()
    try {
      await eventually('both have looked', async () => heads.every(hasLooked))
      assert.deepEqual([newest.current(), settled.current()], [blocks[4], blocks[1]])
      arweave.mine()
      await eventually('it moves on', async () => settled.current().height === 3)
      assert.deepEqual(settled.current(), blocks[2])
    } finally {
      for (const head of heads) await head.stop()
    }
  })
})

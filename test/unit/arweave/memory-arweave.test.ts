import assert from 'node:assert/strict'
import { MemoryArweave } from '../../../src/arweave/memory-arweave.ts'
import { packBundle } from '../../../src/protocol/bundle.ts'
import { anItem } from '../../support/builders.ts'

describe('arweave/memory-arweave', () => {
  it('forgets a dropped transaction and what only it carried, and takes it again', async () => {
    const arweave = new MemoryArweave()
    const [only, shared, uploaded] = await Promise.all(['a', 'b', 'c'].map(text => anItem({ data: Buffer.from(text) })))
    assert.ok(only && shared && uploaded)
    await arweave.upload(uploaded)
    const dropped = await arweave.prepare(packBundle([only, shared, uploaded]))
    const kept = await arweave.prepare(packBundle([shared]))
    await arweave.post(dropped)
    await arweave.post(kept)
    arweave.mine()
    arweave.drop(dropped.id)
    assert.equal(await arweave.status(dropped.id), 'absent')
    assert.equal(await arweave.data(dropped.id), undefined)
    assert.equal(await arweave.item(only.id), undefined)
    assert.equal((await arweave.item(shared.id))?.id, shared.id)
    assert.equal((await arweave.item(uploaded.id))?.id, uploaded.id)

    await arweave.post(dropped)
    const { height } = arweave.mine()
    assert.deepEqual(await arweave.status(dropped.id), { blockHeight: height, confirmations: 1 })
    assert.equal((await arweave.item(only.id))?.id, only.id)
  })

  it('takes its time from the clock it is given', async () => {
    let now = 1_700_000_000_999
    const arweave = new MemoryArweave({ clock: { now: () => now }, startHeight: 5 })
    assert.deepEqual(await arweave.head().then(({ height, timestamp }) => [height, timestamp]), [5, 1_700_000_000_000])
    now += 2000
    assert.deepEqual([arweave.mine().height, arweave.mine().timestamp], [6, 1_700_000_002_000])
  })
})

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { gunzipSync } from 'node:zlib'
import { GatewayClient } from '../../../src/arweave/gateway-client.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import type { Checkpoint } from '../../../src/ports/checkpoint-store.ts'
import type { VmImage } from '../../../src/ports/vm.ts'
import { idToBytes } from '../../../src/protocol/ids.ts'
import { stateRootOf } from '../../../src/protocol/state-root.ts'
import { packMemory, unpackMemory } from '../../../src/units/compute/full-memory.ts'
import { PublishedCheckpoints } from '../../../src/units/compute/published.ts'
import { anId, aProcess, messages, processIdOf, schedule, testSigner } from '../../support/builders.ts'
import { aCheckpoint } from '../../support/checkpoints.ts'
import { Rows, specOf } from '../../support/compute-bench.ts'
import { RunningDevnet } from './running-devnet.ts'

/** As sparse as one of aos: few pages of a hundred megabytes. */
function sparse(image: VmImage, memoryBytes = 104_857_600): VmImage {
  const pages = image.pages.map((page, i) => ({ ...page, index: i * 300 + 2 }))
  const hashes = pages.map(({ index, hash }) => [index, idToBytes(hash)] as const)
  return { ...image, memoryBytes, pages, stateRoot: stateRootOf({ ...image, memoryBytes, pages: hashes }) }
}

describe('checkpoints on the embedded Arweave', function () {
  this.timeout(60_000)
  let devnet: RunningDevnet

  before(async () => {
    devnet = await RunningDevnet.start()
  })
  after(() => devnet.remove())

  it('come back as they were, and are what the reference CU would read: the gzipped memory and its SHA-256', async () => {
    const arweave = new GatewayClient(silentTelemetry, { gatewayUrl: devnet.url })
    const item = await aProcess()
    const rows = await schedule(item, await messages(item, 3))
    const assignment = rows[2]?.assignment
    assert.ok(assignment)
    const plain = aCheckpoint(assignment, [1, 2, 3, 4])
    const notes = { cron: `${assignment.timestamp} ${assignment.blockHeight} 0-10-seconds` }
    const checkpoint: Checkpoint = { ...plain, module: specOf(item).module, image: sparse(plain.image), notes }
    const published = new PublishedCheckpoints(
      {
        ...{ signer: testSigner('cu'), arweave, clock: systemClock, meter: 'gas-1', maxMemoryBytes: 512 << 20 },
        telemetry: silentTelemetry,
      },
      { publishEveryMs: 1, trustedOwners: [] },
    )
    published.offer(checkpoint)
    await published.stop()
    const found: Checkpoint[] = []
    const route = { item, spec: specOf(item) }
    for await (const one of published.usable(route, new Rows(rows), {})) found.push(one)
    assert.equal(found.length, 1)
    assert.deepEqual({ ...found[0], assignment: undefined }, { ...checkpoint, assignment: undefined })
    assert.equal(found[0]?.assignment.id, assignment.id)

    const tags = [
      { name: 'Process', value: processIdOf(item) },
      { name: 'Type', value: 'Checkpoint' },
    ]
    const [listed] = await arweave.signedBy(testSigner('cu').address, tags, { limit: 1 })
    assert.ok(listed)
    const memory = gunzipSync((await arweave.data(listed.id)) ?? Buffer.alloc(0))
    assert.equal(memory.length, checkpoint.image.memoryBytes)
    const hash = createHash('sha256').update(memory).digest('hex')
    assert.equal(listed.tags.find(({ name }) => name === 'SHA-256')?.value, hash)
    for (const { index, bytes } of checkpoint.image.pages) {
      assert.ok(memory.subarray(index * 65_536, (index + 1) * 65_536).equals(bytes), `page ${index}`)
    }
  })

  it('that unpack to more than they say are left at the first byte too many', async () => {
    const image = sparse(aCheckpoint({ nonce: 0 } as never, [1]).image)
    const { data, sha256 } = await packMemory(image)
    const broken = { code: 'INVALID_RECORD' }
    await assert.rejects(unpackMemory(data, { memoryBytes: 10 * 65_536, sha256 }), broken)
    await assert.rejects(unpackMemory(data, { memoryBytes: image.memoryBytes + 65_536, sha256 }), broken)
    await assert.rejects(unpackMemory(data.subarray(0, 100), { memoryBytes: image.memoryBytes, sha256 }), broken)
    await assert.rejects(unpackMemory(data, { memoryBytes: image.memoryBytes, sha256: anId() }), broken)
    assert.equal((await unpackMemory(data, { memoryBytes: image.memoryBytes, sha256 })).length, 1)
  })
})

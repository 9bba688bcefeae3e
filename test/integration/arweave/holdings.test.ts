import assert from 'node:assert/strict'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GatewayClient } from '../../../src/arweave/gateway-client.ts'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import { anId } from '../../support/builders.ts'
import { newDevnet, RunningDevnet } from './running-devnet.ts'

describe('devnet, who holds what', () => {
  const [alice, bob] = [anId('alice'), anId('bob')]
  let devnet: RunningDevnet
  before(async () => {
    devnet = await RunningDevnet.start()
  })
  after(() => devnet.remove())

  const heldAt = async (url: string, resource: string, height: number) =>
    Object.fromEntries((await new GatewayClient(silentTelemetry, { gatewayUrl: url }).holdings(resource, height)) ?? [])

  it('is told as of any block, also after a restart, and the time that was moved goes on', async () => {
    await devnet.get(`/mint/${alice}/5`)
    const first = await devnet.mine()
    await devnet.get(`/mint/${alice}/3`)
    await devnet.get(`/mint/${bob}/1`)
    await devnet.get(`/mint/${bob}/7?asset=stETH`)
    const pending = await heldAt(devnet.url, 'AR', first.height)
    const second = await devnet.mine()
    const later = Date.now() + 1_000_000_000
    const { height } = await devnet.json<{ height: number }>(`/clock/${later}`)
    assert.deepEqual(pending, { [alice]: 5n })
    const check = async (url: string): Promise<void> => {
      assert.deepEqual(await heldAt(url, 'AR', first.height), { [alice]: 5n })
      assert.deepEqual(await heldAt(url, 'AR', second.height), { [alice]: 8n, [bob]: 1n })
      assert.deepEqual(await heldAt(url, 'stETH', first.height), {})
      assert.deepEqual(await heldAt(url, 'stETH', second.height), { [bob]: 7n })
      assert.deepEqual(await heldAt(url, 'other', second.height), {})
      const gateway = new GatewayClient(silentTelemetry, { gatewayUrl: url })
      assert.ok(((await gateway.block(height))?.timestamp ?? 0) >= later - 1000)
      assert.equal(await gateway.holdings('AR', height + 1000), undefined, 'a block that is not there')
    }
    await check(devnet.url)
    // What a killed process leaves.
    const copy = await mkdtemp(join(tmpdir(), 'aonet-crashed-'))
    await cp(devnet.dataDir, copy, { recursive: true })
    const again = newDevnet(copy)
    await again.start()
    try {
      await check(again.url)
      assert.equal((await fetch(`${again.url}/mine`, { method: 'POST' })).status, 200)
      const { timestamp } = await new GatewayClient(silentTelemetry, { gatewayUrl: again.url }).head()
      assert.ok(timestamp >= later - 1000, 'it goes on from there')
      for (const [path, status] of [
        [`/clock/${later - 1_000_000}`, 400],
        ['/clock/soon', 400],
        [`/mint/${bob}/7?asset=a%20b`, 400],
        [`/wallet_list/${anId('no block')}`, 404],
      ] as const) {
        assert.equal((await fetch(`${again.url}${path}`)).status, status, path)
      }
    } finally {
      await again.stop()
      await rm(copy, { recursive: true })
    }
  })
})

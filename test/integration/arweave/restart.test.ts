import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Arweave from 'arweave'
import { GatewayClient } from '../../../src/arweave/gateway-client.ts'
import { proveChunk } from '../../../src/devnet/chunk-proofs.ts'
import { ChunkStore } from '../../../src/devnet/chunk-store.ts'
import { Store } from '../../../src/devnet/store.ts'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import { packBundle } from '../../../src/protocol/bundle.ts'
import { parseId } from '../../../src/protocol/ids.ts'
import { anItem, withTempDir } from '../../support/builders.ts'
import { newDevnet, RunningDevnet } from './running-devnet.ts'

const json = 'application/json'

describe('devnet, start and restart', () => {
  it('keeps blocks, items, data, balances and half an upload through a crash', async () => {
    const devnet = await RunningDevnet.start()
    const copy = await mkdtemp(join(tmpdir(), 'aonet-crashed-'))
    const wallet = await devnet.wallet()
    const client = new GatewayClient(silentTelemetry, { gatewayUrl: devnet.url, wallet: wallet.jwk })
    const item = await anItem({ tags: [{ name: 'Kind', value: 'kept' }], data: randomBytes(1000) })
    const mined = await client.prepare(packBundle([item]))
    await client.post(mined)
    await devnet.mine()
    const pending = await client.prepare(packBundle([await anItem({ data: randomBytes(9) })]))
    await client.post(pending)
    const { host, tx, chunks } = await halfUpload(devnet, wallet.jwk)
    const balance = await (await devnet.get(`/wallet/${wallet.address}/balance`)).text()
    const head = await devnet.json('/block/current')

    // What a killed process leaves: its files as they are now, without a close.
    await cp(devnet.dataDir, copy, { recursive: true })
    await devnet.remove()
    const again = newDevnet(copy)
    await again.start()
    try {
      const get = async (path: string) => fetch(`${again.url}${path}`)
      const reader = new GatewayClient(silentTelemetry, { gatewayUrl: again.url })
      assert.deepEqual(await (await get('/block/current')).json(), head)
      assert.equal(await (await get(`/wallet/${wallet.address}/balance`)).text(), balance)
      assert.deepEqual(await reader.status(mined.id), { blockHeight: 1_500_001, confirmations: 1 })
      assert.equal(await reader.status(pending.id), 'pending')
      assert.equal((await reader.item(item.id))?.data.length, 1000)

      assert.equal((await get(`/raw/${tx.id}`)).status, 404)
      for (const chunk of chunks.slice(1)) {
        const headers = { 'content-type': json }
        const answer = await fetch(`${again.url}/chunk`, { method: 'POST', headers, body: JSON.stringify(chunk) })
        assert.equal(answer.status, 200)
      }
      assert.ok(Buffer.from(await (await get(`/raw/${tx.id}`)).arrayBuffer()).equals(Buffer.from(tx.data)), host)
      const offset = async (id: string) => ((await (await get(`/tx/${id}/offset`)).json()) as { offset: string }).offset
      const later = new GatewayClient(silentTelemetry, { gatewayUrl: again.url, wallet: wallet.jwk })
      const next = await later.prepare(Buffer.alloc(500))
      await later.post(next)
      assert.equal(Number(await offset(next.id)), Number(await offset(tx.id)) + 500, 'the weave goes on')
      await fetch(`${again.url}/mine`, { method: 'POST' })
      assert.deepEqual(await reader.status(pending.id), { blockHeight: 1_500_002, confirmations: 1 })
      assert.deepEqual(await reader.status(parseId(tx.id)), { blockHeight: 1_500_002, confirmations: 1 })
    } finally {
      await again.stop()
      await rm(copy, { recursive: true, force: true })
    }
  })

  it('completes an upload whose last chunk was written just before a crash', () =>
    withTempDir(async dir => {
      const devnet = await RunningDevnet.start()
      const { tx, chunks } = await halfUpload(devnet, (await devnet.wallet()).jwk)
      for (const chunk of chunks.slice(1, -1)) await devnet.post('/chunk', JSON.stringify(chunk), json)
      await cp(devnet.dataDir, dir, { recursive: true })
      await devnet.remove()
      const store = await Store.open(dir)
      await store.write([new ChunkStore(store.tables).keep(await proveChunk(chunks.at(-1)))])
      await store.close()
      const again = newDevnet(dir)
      await again.start()
      const data = Buffer.from(await (await fetch(`${again.url}/raw/${tx.id}`)).arrayBuffer())
      await again.stop()
      assert.ok(data.equals(Buffer.from(tx.data)))
    }))

  it('mines on its timer', async () => {
    const devnet = await RunningDevnet.start({ blockMs: 20, startHeight: 7 })
    const deadline = Date.now() + 5000
    const height = async () => (await devnet.json<{ height: number }>('/info')).height
    while ((await height()) < 10) assert.ok(Date.now() < deadline, 'three blocks within five seconds')
    assert.equal((await devnet.json('/block/height/7'))['previous_block'], '')
    await devnet.remove()
  })

  it('says that its directory is in use, or of another network', () =>
    withTempDir(async dir => {
      const first = newDevnet(dir)
      await first.start()
      await assert.rejects(newDevnet(dir).start(), { code: 'STORE_LOCKED', facts: { directory: dir } })
      await first.stop()
      await assert.rejects(newDevnet(dir, { network: 'other' }).start(), { code: 'INVALID_CONFIG' })
      await first.start()
      await first.stop()
    }))

  it('says that its port is taken, and leaves its directory free', () =>
    withTempDir(async dir => {
      const other = createServer().listen(0, '127.0.0.1')
      await new Promise(resolve => other.once('listening', resolve))
      const { port } = other.address() as AddressInfo
      await assert.rejects(newDevnet(dir, { port }).start(), { code: 'PORT_IN_USE' })
      other.close()
      const devnet = newDevnet(dir)
      await devnet.start()
      await devnet.start()
      await devnet.stop()
      await devnet.stop()
      assert.throws(() => devnet.url, { code: 'NOT_READY' })
    }))
})

/** Posts a transaction of four chunks and only the first of them. */
async function halfUpload(devnet: RunningDevnet, jwk: unknown) {
  const { hostname: host, port } = new URL(devnet.url)
  const arweave = Arweave.init({ host, port, protocol: 'http' })
  const tx = await arweave.createTransaction({ data: randomBytes(1_000_000) })
  await arweave.transactions.sign(tx, jwk as Parameters<Arweave['transactions']['sign']>[1])
  const chunks = [0, 1, 2, 3].map(index => tx.getChunk(index, tx.data))
  await devnet.post('/tx', JSON.stringify({ ...tx.toJSON(), data: '' }), json)
  assert.equal((await devnet.post('/chunk', JSON.stringify(chunks[0]), json)).status, 200)
  return { host, tx, chunks }
}

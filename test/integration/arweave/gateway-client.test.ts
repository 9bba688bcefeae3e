import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { GatewayClient } from '../../../src/arweave/gateway-client.ts'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import { signerFromJwk } from '../../../src/protocol/keys.ts'
import { anId, anItem, testJwk } from '../../support/builders.ts'
import { RunningDevnet } from './running-devnet.ts'

describe('GatewayClient', () => {
  let devnet: RunningDevnet
  before(async () => {
    devnet = await RunningDevnet.start()
  })
  after(() => devnet.remove())
  afterEach(() => {
    for (const close of openGateways.splice(0)) close()
  })

  it('says what to configure when it should pay without a wallet, or with one that is none', async () => {
    const client = new GatewayClient(silentTelemetry, { gatewayUrl: devnet.url })
    await assert.rejects(client.prepare(Buffer.alloc(1)), { code: 'INVALID_CONFIG' })
    const wallet = testJwk('no RSA key')
    assert.throws(() => new GatewayClient(silentTelemetry, { gatewayUrl: devnet.url, wallet }), {
      code: 'INVALID_CONFIG',
    })
    for (const gatewayUrl of ['', 'localhost:1984', 'ftp://x', 'http://'])
      assert.throws(() => new GatewayClient(silentTelemetry, { gatewayUrl }), { code: 'INVALID_CONFIG' }, gatewayUrl)
  })

  it('tells address, balance and price when the wallet cannot pay', async () => {
    const { jwk, address } = await devnet.wallet('5', 'poor')
    const client = new GatewayClient(silentTelemetry, { gatewayUrl: `${devnet.url}/`, wallet: jwk })
    await assert.rejects(client.prepare(Buffer.alloc(1500)), {
      code: 'SETTLEMENT_FAILED',
      facts: { address, balance: '5', price: '20000000' },
      hint: `Send AR to the address; on a devnet: GET ${devnet.url}/mint/${address}/{winston}.`,
    })
  })

  it('tells why Arweave refused a transaction', async () => {
    const { jwk } = await devnet.wallet()
    const client = new GatewayClient(silentTelemetry, { gatewayUrl: devnet.url, wallet: jwk })
    const tx = await client.prepare(Buffer.from('bundle'))
    const changed = Buffer.from(Buffer.from(tx.payload).toString().replace('"quantity":"0"', '"quantity":"1"'))
    await assert.rejects(
      client.post({ id: tx.id, payload: changed }),
      (error: { code: string; facts: { answer: string } }) => {
        assert.equal(error.code, 'SETTLEMENT_FAILED')
        return /Transaction verification failed/.test(error.facts.answer)
      },
    )
  })

  it('gives a bundled item signed by an Arweave wallet back as it was', async () => {
    const item = await anItem(
      { data: Buffer.from('by RSA'), anchor: 'x'.repeat(32) },
      signerFromJwk((await devnet.wallet()).jwk),
    )
    const client = new GatewayClient(silentTelemetry, { gatewayUrl: devnet.url })
    await client.upload(item)
    assert.deepEqual(Buffer.from((await client.item(item.id))?.raw ?? []), Buffer.from(item.raw))
  })

  it('reports a gateway that is not there, and one that is something else', async () => {
    const gone = new GatewayClient(silentTelemetry, { gatewayUrl: 'http://127.0.0.1:9' })
    const other = await gatewayOf((_, response) => response.end('<html>a web page</html>'))
    const page = new GatewayClient(silentTelemetry, { gatewayUrl: other.url })
    for (const client of [gone, page]) {
      await assert.rejects(client.head(), { code: 'PEER_UNREACHABLE' })
      await assert.rejects(client.status(anId()), { code: 'PEER_UNREACHABLE' })
      await assert.rejects(client.item(anId()), { code: 'PEER_UNREACHABLE' })
    }
  })

  it('takes a failing gateway for unreachable, and not for an absent transaction', async () => {
    const failing = await gatewayOf((_, response) => response.writeHead(503).end('busy'))
    const client = new GatewayClient(silentTelemetry, { gatewayUrl: failing.url })
    await assert.rejects(client.status(anId()), { code: 'PEER_UNREACHABLE' })
    await assert.rejects(client.data(anId()), { code: 'PEER_UNREACHABLE' })
  })

  it('stops reading an answer that has no end', async () => {
    const endless = await gatewayOf((_, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(65536, 65)));
        if (!response.destroyed) response.once('drain', more)
      }
      more()
    })
    const client = new GatewayClient(silentTelemetry, { gatewayUrl: endless.url })
    await assert.rejects(client.head(), { code: 'TOO_LARGE' })
  })

  it('stops waiting for a silent gateway when the caller does', async () => {
    const silent = await gatewayOf(() => undefined)
    const client = new GatewayClient(silentTelemetry, { gatewayUrl: silent.url })
    await assert.rejects(client.head({ signal: AbortSignal.timeout(50) }), { code: 'DEADLINE' })
  })

  it('believes nothing a lying gateway says of an item', async () => {
    const item = await anItem({
      data: Buffer.from('true'),
      tags: [{ name: 'Say', value: 'true' }],
      anchor: 'n'.repeat(32),
    })
    const honest = {
      id: item.id,
      signature: Buffer.from(item.signature).toString('base64url'),
      recipient: '',
      anchor: Buffer.from(item.anchor).toString('base64url'),
      owner: { key: Buffer.from(item.ownerKey).toString('base64url') },
      data: { size: '4' },
      tags: item.tags,
    }
    const other = await anItem({ data: Buffer.from('true'), tags: [{ name: 'Say', value: 'other' }] })
    const otherSignature = Buffer.from(other.signature).toString('base64url')
    const lies: [string, object, string][] = [
      ['data', honest, 'lies'],
      ['a tag', { ...honest, tags: [{ name: 'Say', value: 'false' }] }, 'true'],
      ['one tag less', { ...honest, tags: [] }, 'true'],
      ['the anchor', { ...honest, anchor: Buffer.alloc(32).toString('base64url') }, 'true'],
      ['the recipient', { ...honest, recipient: anId('x') }, 'true'],
      ['the owner', { ...honest, owner: { key: Buffer.alloc(32, 1).toString('base64url') } }, 'true'],
      ['another item', { ...honest, signature: otherSignature, tags: other.tags, anchor: '' }, 'true'],
      ['garbage', { ...honest, signature: '??', owner: { key: '' } }, 'true'],
    ]
    let node: object = honest
    let data = 'true'
    const gateway = await gatewayOf((request, response) =>
      response.end(
        request.url === '/graphql' ? JSON.stringify({ data: { transactions: { edges: [{ node }] } } }) : data,
      ),
    )
    const client = new GatewayClient(silentTelemetry, { gatewayUrl: gateway.url })
    assert.equal((await client.item(item.id))?.id, item.id, 'the truth is taken')
    node = { ...honest, anchor: 'n'.repeat(32) }
    assert.equal((await client.item(item.id))?.id, item.id, 'also with the anchor as text')
    for (const [what, ...lie] of lies) {
      ;[node, data] = lie
      await assert.rejects(client.item(item.id), { code: 'INVALID_DATA_ITEM' }, what)
    }
  })
})

const openGateways: (() => void)[] = []

/** A gateway that does as told, until the test ends. */
async function gatewayOf(handle: (request: IncomingMessage, response: ServerResponse) => unknown) {
  const server = createServer((request, response) => void handle(request, response)).listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  openGateways.push(() => {
    server.close()
    server.closeAllConnections()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

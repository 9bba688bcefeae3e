import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import Arweave from 'arweave'
import { anId } from '../../support/builders.ts'
import { RunningDevnet } from './running-devnet.ts'

const json = 'application/json'

describe('devnet, through arweave-js', () => {
  let devnet: RunningDevnet
  let arweave: Arweave
  let wallet: Awaited<ReturnType<RunningDevnet['wallet']>>
  before(async () => {
    devnet = await RunningDevnet.start()
    const { hostname: host, port } = new URL(devnet.url)
    arweave = Arweave.init({ host, port, protocol: 'http' })
    wallet = await devnet.wallet()
  })
  after(() => devnet.remove())

  const jwk = () => wallet.jwk as unknown as Parameters<Arweave['transactions']['sign']>[1]
  const signed = async (data: Uint8Array | string, tags: Record<string, string> = {}) => {
    const tx = await arweave.createTransaction({ data })
    for (const [name, value] of Object.entries(tags)) tx.addTag(name, value)
    await arweave.transactions.sign(tx, jwk())
    return tx
  }

  it('posts, waits for a block and reads back a transaction', async () => {
    const tx = await signed('hello', { 'Content-Type': 'text/plain', Kind: 'greeting' })
    assert.equal((await arweave.transactions.post(tx)).status, 200)
    assert.equal((await arweave.transactions.getStatus(tx.id)).status, 202)
    assert.equal(await arweave.transactions.getData(tx.id, { decode: true, string: true }), 'hello')

    const { height, current } = await devnet.mine()
    assert.deepEqual((await arweave.transactions.getStatus(tx.id)).confirmed, {
      block_height: height,
      block_indep_hash: current,
      number_of_confirmations: 1,
    })
    const read = await arweave.transactions.get(tx.id)
    assert.equal(await arweave.transactions.verify(read), true)
    assert.deepEqual(Buffer.from(read.data).toString(), 'hello')
    const block = await arweave.blocks.getCurrent()
    assert.deepEqual([block.height, block.txs], [height, [tx.id]])
  })

  it('keeps 1,000,000 bytes sent in chunks exact, on every way to read them', async () => {
    const data = randomBytes(1_000_000)
    const tx = await signed(data)
    const uploader = await arweave.transactions.getUploader(tx)
    while (!uploader.isComplete) {
      assert.equal((await devnet.get(`/raw/${tx.id}`)).status, 404, 'incomplete data is not served')
      await uploader.uploadChunk()
    }
    assert.equal(uploader.totalChunks, 4)
    for (const mined of [false, true]) {
      if (mined) await devnet.mine()
      assert.ok((await devnet.bytes(`/raw/${tx.id}`)).equals(data), `/raw, mined: ${mined}`)
      assert.ok((await devnet.bytes(`/${tx.id}`)).equals(data), `/{id}, mined: ${mined}`)
      const chunked = await arweave.chunks.downloadChunkedData(tx.id)
      assert.ok(Buffer.from(chunked).equals(data), `/chunk, mined: ${mined}`)
    }
    assert.equal((await arweave.transactions.getStatus(tx.id)).status, 200)
  })

  it('finds the right chunk in the middle of the weave', async () => {
    const first = await signed(randomBytes(300_000))
    const second = await signed(randomBytes(40_000))
    await arweave.transactions.post(first)
    await arweave.transactions.post(second)
    const { offset, size } = await devnet.json<{ offset: string; size: string }>(`/tx/${second.id}/offset`)
    assert.equal(size, '40000')
    const { chunk } = await devnet.json<{ chunk: string }>(`/chunk/${Number(offset) - 39_999}`)
    assert.ok(Buffer.from(chunk, 'base64url').equals(Buffer.from(second.data)))
  })

  it('refuses a transaction that was changed after signing', async () => {
    for (const change of [{ reward: '99999999999' }, { quantity: '1' }, { tags: [{ name: 'QQ', value: 'QQ' }] }]) {
      const tx = await signed('tampered')
      const answer = await devnet.post('/tx', JSON.stringify({ ...tx.toJSON(), ...change }), json)
      assert.equal(answer.status, 400, JSON.stringify(change))
      assert.match(((await answer.json()) as { error: string }).error, /^Transaction verification failed/)
      assert.equal((await arweave.transactions.getStatus(tx.id)).status, 404)
    }
  })

  it('refuses data that is not what was signed', async () => {
    const tx = await signed('the true data')
    const data = Buffer.from('a false data!').toString('base64url')
    const answer = await devnet.post('/tx', JSON.stringify({ ...tx.toJSON(), data }), json)
    assert.equal(answer.status, 400)
  })

  it('refuses a chunk whose proof does not fit, and one of an unknown root', async () => {
    const tx = await signed(randomBytes(600_000))
    const uploader = await arweave.transactions.getUploader(tx)
    const chunk = tx.getChunk(1, tx.data)
    const unknownRoot = await devnet.post('/chunk', JSON.stringify(chunk), json)
    assert.deepEqual(
      [unknownRoot.status, ((await unknownRoot.json()) as { error: string }).error],
      [400, 'data_root_not_found'],
    )
    await uploader.uploadChunk()
    assert.equal((await devnet.post('/chunk', JSON.stringify({ ...chunk, data_size: '599999' }), json)).status, 400)
    const wrong = [
      { ...chunk, chunk: tx.getChunk(0, tx.data).chunk },
      { ...chunk, offset: '0' },
      { ...chunk, data_path: `A${chunk.data_path.slice(1)}` },
    ]
    for (const body of wrong) {
      const answer = await devnet.post('/chunk', JSON.stringify(body), json)
      assert.equal(answer.status, 400)
      assert.equal(((await answer.json()) as { error: string }).error, 'invalid_proof')
    }
  })

  it('moves balances: the owner pays reward and quantity, the target receives', async () => {
    const target = anId('receiver')
    const before = BigInt(await arweave.wallets.getBalance(wallet.address))
    const tx = await arweave.createTransaction({ target, quantity: '5000' })
    await arweave.transactions.sign(tx, jwk())
    assert.equal((await arweave.transactions.post(tx)).status, 200)
    assert.equal(await arweave.wallets.getBalance(target), '5000')
    assert.equal(BigInt(await arweave.wallets.getBalance(wallet.address)), before - 5000n - BigInt(tx.reward))
    assert.equal(await arweave.wallets.getLastTransactionID(wallet.address), tx.id)

    const again = await arweave.transactions.post(tx)
    assert.equal(again.status, 208)
    assert.equal(await arweave.wallets.getBalance(target), '5000', 'and nothing is paid twice')
  })

  it('answers 402 with balance and cost to a wallet that cannot pay', async () => {
    const poor = await devnet.wallet('10', 'poor')
    const tx = await arweave.createTransaction({ data: 'too dear' })
    await arweave.transactions.sign(tx, poor.jwk as unknown as Parameters<Arweave['transactions']['sign']>[1])
    const answer = await devnet.post('/tx', JSON.stringify(tx), json)
    assert.equal(answer.status, 402)
    const body = (await answer.json()) as { code: string; facts: Record<string, string> }
    assert.equal(body.code, 'SETTLEMENT_FAILED')
    assert.deepEqual(body.facts, { id: tx.id, address: poor.address, balance: '10', cost: tx.reward })
  })

  it('refuses a reward below the price, and an anchor that is no block', async () => {
    const cheap = await arweave.createTransaction({ data: 'cheap', reward: '1' })
    const adrift = await arweave.createTransaction({
      data: 'adrift',
      last_tx: Buffer.alloc(48, 1).toString('base64url'),
    })
    for (const tx of [cheap, adrift]) {
      await arweave.transactions.sign(tx, jwk())
      const answer = await devnet.post('/tx', JSON.stringify(tx), json)
      assert.ok(answer.status === 400 || answer.status === 402, String(answer.status))
      assert.equal((await arweave.transactions.getStatus(tx.id)).status, 404)
    }
  })
})

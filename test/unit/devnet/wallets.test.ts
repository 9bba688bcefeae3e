import assert from 'node:assert/strict'
import type { NewEntry, Wallet } from '../../../src/devnet/records.ts'
import type { Tables } from '../../../src/devnet/store.ts'
import { paymentWrites, priceOf } from '../../../src/devnet/wallets.ts'
import type { Address } from '../../../src/protocol/ids.ts'
import { anId } from '../../support/builders.ts'

const payer = anId('payer') as string as Address
const other = anId('other')
const price = priceOf(0)

const transfer = (fields: Partial<NewEntry> = {}): NewEntry => ({
  id: anId('tx'),
  layer: 1,
  owner: payer,
  ownerKey: '',
  signature: '',
  target: other,
  anchor: '',
  tags: [],
  quantity: '100',
  reward: String(price),
  dataSize: 0,
  dataRoot: '',
  ...fields,
})

/** Balances and last transactions after paying from `wallets`, by address. */
async function pay(tx: NewEntry, wallets: Record<string, Wallet>, recent: readonly string[] = []) {
  const tables = { wallets: { get: async (address: string) => wallets[address] }, touched: {} } as unknown as Tables
  const writes = await paymentWrites(tables, tx, async anchor => recent.includes(anchor))
  const paid = writes.filter(({ sublevel }) => sublevel !== (tables.touched as unknown))
  assert.deepEqual(
    new Set(writes.filter(write => !paid.includes(write)).map(({ key }) => key)),
    new Set(paid.map(({ key }) => `AR ${key}`)),
    'each change is noted for the next block',
  )
  return Object.fromEntries(paid.map(write => [write.key, write.type === 'put' ? write.value : undefined]))
}

describe('devnet/wallets', () => {
  const rich = { balance: String(price + 100n), lastTx: '' }

  it('takes reward and quantity from the owner and gives the quantity to the target', async () => {
    const paid = { balance: '0', lastTx: anId('tx') }
    assert.deepEqual(await pay(transfer(), { [payer]: rich }), {
      [payer]: paid,
      [other]: { balance: '100', lastTx: '' },
    })
    const alone = { balance: '100', lastTx: anId('tx') }
    assert.deepEqual(await pay(transfer({ target: '', quantity: '0' }), { [payer]: rich }), { [payer]: alone })
  })

  it('makes nothing out of a transfer to oneself', async () => {
    const paid = { balance: '100', lastTx: anId('tx') }
    assert.deepEqual(await pay(transfer({ target: payer }), { [payer]: rich }), { [payer]: paid })
  })

  it('refuses one winston too little, of reward or of balance', async () => {
    const poor = { ...rich, balance: String(price + 99n) }
    await assert.rejects(pay(transfer(), { [payer]: poor }), { code: 'SETTLEMENT_FAILED' })
    await assert.rejects(pay(transfer({ reward: String(price - 1n) }), { [payer]: rich }), {
      code: 'SETTLEMENT_FAILED',
    })
    await assert.rejects(pay(transfer(), {}), { code: 'SETTLEMENT_FAILED' })
  })

  it('takes the last transaction of the wallet or a recent block for an anchor, and nothing else', async () => {
    const used = { ...rich, lastTx: anId('before') }
    await pay(transfer({ anchor: used.lastTx }), { [payer]: used })
    await pay(transfer({ anchor: 'block' }), { [payer]: used }, ['block'])
    for (const anchor of ['', anId('long ago')])
      await assert.rejects(pay(transfer({ anchor }), { [payer]: used }, ['block']), { code: 'INVALID_ARGUMENT' })
  })

  it('asks for more with more data', () => {
    assert.ok(priceOf(1) === priceOf(1000) && priceOf(1000) < priceOf(1001))
  })
})

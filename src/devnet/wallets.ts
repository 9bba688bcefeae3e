import { AoError } from '../lib/errors.ts'
import { arResource, touched } from './holdings.ts'
import type { NewEntry, Wallet } from './records.ts'
import { put, type Tables, type Write } from './store.ts'

/** Winston for each started kilobyte: 10 AR a gigabyte, the order of what Arweave asks. */
const winstonPerKilobyte = 10_000_000n

/** The least reward for so many bytes of data, in winston. */
export const priceOf = (bytes: number): bigint => BigInt(Math.max(1, Math.ceil(bytes / 1000))) * winstonPerKilobyte

export const emptyWallet: Wallet = { balance: '0', lastTx: '' }

/**
 * What accepting a transaction does to wallets: the owner pays reward and quantity at once, the target receives.
 *
 * @param isRecent Whether a text is the hash of a recent block.
 * @throws AoError `INVALID_ARGUMENT` (anchor), `SETTLEMENT_FAILED` (price, balance)
 */
export async function paymentWrites(
  tables: Tables,
  tx: NewEntry,
  isRecent: (anchor: string) => Promise<boolean>,
): Promise<readonly Write[]> {
  const { wallets: table } = tables
  const payer = (await table.get(tx.owner)) ?? emptyWallet
  if (tx.anchor !== payer.lastTx && !(await isRecent(tx.anchor))) throw badAnchor(tx)
  const price = priceOf(tx.dataSize)
  if (BigInt(tx.reward) < price) throw tooCheap(tx, price)
  const cost = BigInt(tx.reward) + BigInt(tx.quantity)
  if (BigInt(payer.balance) < cost) throw overspent(tx, BigInt(payer.balance), cost)
  const paid = { balance: String(BigInt(payer.balance) - cost), lastTx: tx.id }
  if (tx.target === '' || tx.quantity === '0')
    return [put(table, tx.owner, paid), touched(tables, arResource, tx.owner)]
  const toSelf = tx.target === tx.owner
  const receiver = toSelf ? paid : ((await table.get(tx.target)) ?? emptyWallet)
  const received = { ...receiver, balance: String(BigInt(receiver.balance) + BigInt(tx.quantity)) }
  const touches = [tx.owner, tx.target].map(address => touched(tables, arResource, address))
  if (toSelf) return [put(table, tx.owner, received), ...touches.slice(1)]
  return [put(table, tx.owner, paid), put(table, tx.target, received), ...touches]
}

const badAnchor = (tx: NewEntry): AoError =>
  new AoError(
    'INVALID_ARGUMENT',
    'Invalid anchor (last_tx).',
    { id: tx.id, anchor: tx.anchor },
    { hint: 'Ask for a new /tx_anchor, and sign the transaction again with it.' },
  )

const tooCheap = (tx: NewEntry, price: bigint): AoError =>
  new AoError(
    'SETTLEMENT_FAILED',
    'Transaction verification failed: tx_too_cheap.',
    { id: tx.id, reward: tx.reward, price: String(price) },
    { hint: 'Ask for the price at /price/{bytes}, and sign the transaction again with that reward.' },
  )

const overspent = (tx: NewEntry, balance: bigint, cost: bigint): AoError =>
  new AoError(
    'SETTLEMENT_FAILED',
    'Transaction verification failed: overspend.',
    { id: tx.id, address: tx.owner, balance: String(balance), cost: String(cost) },
    { hint: `Fund the wallet: GET /mint/${tx.owner}/{winston}.` },
  )

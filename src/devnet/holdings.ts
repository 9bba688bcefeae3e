import { AoError } from '../lib/errors.ts'
import { del, numberKey, put, type Tables, type Write } from './store.ts'

/** AR itself, or a bridged asset whose deposits this Arweave keeps for tests of the token's distribution. */
export type Resource = string
export const arResource: Resource = 'AR'

export interface Holding {
  readonly address: string
  /** In the smallest unit, decimal. */
  readonly balance: string
}

/** Addresses of one answer, as Arweave pages its wallet list. */
const pageSize = 2500

/** Notes that a balance has changed since the newest block. */
export const touched = ({ touched: table }: Tables, resource: Resource, address: string): Write =>
  put(table, keyOf(resource, address), '')

/** What a block keeps of the balances that changed since the one before it. */
export async function sealHoldings(tables: Tables, height: number): Promise<readonly Write[]> {
  const writes: Write[] = []
  for (const key of await tables.touched.keys().all()) {
    const [resource = '', address = ''] = key.split(' ')
    const balance = await balanceNow(tables, resource, address)
    writes.push(put(tables.holdings, `${key} ${numberKey(height)}`, balance), del(tables.touched, key))
  }
  return writes
}

/** A deposit of a bridged asset in base units, out of nothing. @returns what the address has now, and its writes. */
export async function deposit(
  tables: Tables,
  { resource, address, quantity }: { resource: Resource; address: string; quantity: bigint },
): Promise<{ readonly balance: bigint; readonly writes: readonly Write[] }> {
  const balance = BigInt(await balanceNow(tables, resource, address)) + quantity
  const writes = [put(tables.deposits, keyOf(resource, address), String(balance)), touched(tables, resource, address)]
  return { balance, writes }
}

/**
 * Who held how much of a resource as of a block, by address; those with nothing are left out.
 *
 * @param after the last address of the page before.
 */
export async function holdingsAt(
  tables: Tables,
  at: { resource: Resource; height: number; after: string },
): Promise<{ readonly holdings: readonly Holding[]; readonly next: string | undefined }> {
  const { resource, height, after } = at
  const holdings: Holding[] = []
  const addresses = await addressesOf(tables, resource, after)
  for (const address of addresses.slice(0, pageSize)) {
    const key = keyOf(resource, address)
    const range = { gte: `${key} `, lte: `${key} ${numberKey(height)}`, reverse: true, limit: 1 }
    const [balance = '0'] = await tables.holdings.values(range).all()
    if (balance !== '0') holdings.push({ address, balance })
  }
  return { holdings, next: addresses.length > pageSize ? addresses[pageSize - 1] : undefined }
}

/** @throws AoError `INVALID_ARGUMENT` unless it is a short name. */
export function parseResource(text: string | undefined): Resource {
  if (text === undefined) return arResource
  if (/^[A-Za-z0-9.-]{1,32}$/.test(text)) return text
  throw new AoError('INVALID_ARGUMENT', 'that is no name of an asset', { asset: text.slice(0, 32) })
}

async function addressesOf({ wallets, deposits }: Tables, resource: Resource, after: string): Promise<string[]> {
  const limit = pageSize + 1
  if (resource === arResource) return wallets.keys({ gt: after, limit }).all()
  const keys = await deposits.keys({ gt: keyOf(resource, after), lt: `${resource}!`, limit }).all()
  return keys.map(key => key.slice(resource.length + 1))
}

async function balanceNow({ wallets, deposits }: Tables, resource: Resource, address: string): Promise<string> {
  if (resource === arResource) return (await wallets.get(address))?.balance ?? '0'
  return (await deposits.get(keyOf(resource, address))) ?? '0'
}

const keyOf = (resource: Resource, address: string): string => `${resource} ${address}`

import { sha256, toHex, utf8 } from '../lib/bytes.ts'
import type { Entry } from './records.ts'
import { numberKey } from './store.ts'

/**
 * A posting list: all entries that share something, in order of arrival. Values are hashed because tags may be
 * long and hold any character; whoever reads a list checks the entry itself.
 */
export const lists = {
  all: 'a',
  /** Layer 1 only. */
  transactions: 'l',
  owner: (address: string): string => `o${short(address)}`,
  recipient: (address: string): string => `r${short(address)}`,
  bundledIn: (id: string): string => `b${short(id)}`,
  /** Transactions whose data, now here, has this root and size. */
  dataRoot: (root: string, size: number): string => `d${short(`${root}.${size}`)}`,
  tag: (name: string, value: string): string => `t${short(JSON.stringify([name, value]))}`,
}

export const postingKey = (list: string, seq: number): string => `${list}:${numberKey(seq)}`

/** The `seq` in a posting's key. */
export const seqOf = (key: string): number => Number.parseInt(key.slice(key.indexOf(':') + 1), 16)

/** Every list that an entry belongs to, each once. */
export function listsOf(entry: Omit<Entry, 'seq' | 'weaveEnd'>): readonly string[] {
  const names = [
    lists.all,
    lists.owner(entry.owner),
    ...(entry.layer === 1 ? [lists.transactions] : []),
    ...(entry.dataRoot === '' ? [] : [lists.dataRoot(entry.dataRoot, entry.dataSize)]),
    ...(entry.target === '' ? [] : [lists.recipient(entry.target)]),
    ...(entry.bundledIn === undefined ? [] : [lists.bundledIn(entry.bundledIn)]),
    ...entry.tags.map(({ name, value }) => lists.tag(name, value)),
  ]
  return [...new Set(names)]
}

/** 128 bits are enough not to meet twice. */
const short = (text: string): string => toHex(sha256(utf8(text)).subarray(0, 16))

import type { KeyRange } from './keys.ts'

/** One change of a batch; a `put` without value marks that the key is there. */
export type WriteOp =
  | { readonly type: 'put'; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: Uint8Array }

/** An ordered map from bytes to bytes on disk, written in batches that are whole and synced. */
export interface Store {
  readonly dir: string
  get(key: Uint8Array): Promise<Uint8Array | undefined>
  /** In the order of the keys. */
  getMany(keys: readonly Uint8Array[]): Promise<readonly (Uint8Array | undefined)[]>
  /** As the store was when reading began. */
  entries(range: KeyRange): AsyncIterable<readonly [key: Uint8Array, value: Uint8Array]>
  /** What the keys of an index lead to, index and rows as they were at one moment; what is missing is left out. */
  lookUp(index: KeyRange, rowKey: (indexKey: Uint8Array) => Uint8Array): Promise<readonly Uint8Array[]>
  /**
   * All or nothing; resolves when on disk. Writes that wait for the disk at the same time share one sync.
   *
   * @throws AoError `LOG_WRITE_FAILED` if the disk refuses: then the ops may still surface after a restart, so write
   * the same again or nothing. `OVERLOADED` when too much waits; `STOPPING` after `close`.
   *
   * With `sync: false` it resolves when every reader sees it: a killed program does not lose it, a power cut may, but
   * never without all that was written after. Whatever synced write resolves later has it on disk too.
   */
  write(ops: readonly WriteOp[], options?: { readonly sync?: boolean }): Promise<void>
  /** Waits for what is being written. Idempotent. */
  close(): Promise<void>
}

export const put = (key: Uint8Array, value: Uint8Array): WriteOp => ({ type: 'put', key, value })
export const del = (key: Uint8Array): WriteOp => ({ type: 'del', key })

/** The value of keys that say all by being there. */
export const present: Uint8Array = new Uint8Array(0)

/** The first entry of a range. */
export async function firstEntry(
  store: Store,
  range: KeyRange,
): Promise<readonly [key: Uint8Array, value: Uint8Array] | undefined> {
  for await (const entry of store.entries({ ...range, limit: 1 })) return entry
  return undefined
}

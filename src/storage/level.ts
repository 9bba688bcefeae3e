import { mkdir, readdir } from 'node:fs/promises'
import { Level } from 'level'
import { AoError } from '../lib/errors.ts'
import type { Logger } from '../lib/telemetry.ts'
import type { DiskRoom } from './disk-room.ts'
import { fromU64, KeySpace, u64 } from './keys.ts'
import { type BinaryLevel, LevelStore } from './level-store.ts'
import { firstEntry, put, type Store } from './store.ts'

export interface OpenStoreOptions {
  readonly log: Logger
  /** On the disk of `dir`; absent: nobody looks. */
  readonly room?: DiskRoom | undefined
  /** What is written is gathered in memory up to this before it becomes a table; up to three times as much is held. */
  readonly writeBufferBytes?: number | undefined
}

/**
 * Opens the LevelDB store in `dir`, and makes it if there is none. Where there is no room on the disk it is only read.
 *
 * @throws AoError `STORE_LOCKED` if another program has it; `STORE_CORRUPT` if it cannot be read, or is of a newer
 * version; `INVALID_CONFIG` if the directory cannot hold a store.
 */
export async function openStore(
  dir: string,
  { log, room, writeBufferBytes = largeBuffer }: OpenStoreOptions,
): Promise<Store> {
  await prepareDirectory(dir)
  const db: BinaryLevel = new Level(dir, {
    ...{ keyEncoding: 'buffer', valueEncoding: 'buffer' },
    ...{ writeBufferSize: writeBufferBytes, cacheSize: cacheBytes },
  })
  try {
    await db.open()
  } catch (error) {
    throw openFailure(dir, error)
  }
  const store = new LevelStore(dir, db, room)
  try {
    await checkFormat(store)
  } catch (error) {
    await store.close()
    throw error
  }
  log.info('store-opened', { dir })
  return store
}

/** Fewer and larger tables: a log is written once and read in order, and what is merged less costs less. */
const largeBuffer = 16 << 20
const cacheBytes = 16 << 20

/** Of the keys and values in a Store. A change of either that older programs cannot read adds one. */
const format = 1
const formatKey = new KeySpace('meta').key(Buffer.from('format'))

async function checkFormat(store: Store): Promise<void> {
  const stamp = await store.get(formatKey)
  if (stamp?.length === 8) {
    const found = fromU64(stamp)
    if (found === format) return
    throw new AoError(
      'STORE_CORRUPT',
      found > format ? 'the store was written by a newer version' : 'the store has an unknown format',
      { dir: store.dir, found, known: format },
      { hint: 'Upgrade aonet, or give this node another data directory.' },
    )
  }
  const anything = await firstEntry(store, { gte: Buffer.of(0), lt: Buffer.of(0xff) })
  if (stamp !== undefined || anything !== undefined) throw corrupt(store.dir, 'the store has no version stamp')
  await store.write([put(formatKey, u64(format))])
}

/** LevelDB starts afresh, and deletes what it finds, where the file CURRENT is missing: so look before it does. */
async function prepareDirectory(dir: string): Promise<void> {
  let files: readonly string[]
  try {
    await mkdir(dir, { recursive: true })
    files = await readdir(dir)
  } catch (cause) {
    throw unusable(dir, cause)
  }
  if (files.includes('CURRENT')) return
  if (files.some(name => /\.(ldb|sst|log)$/.test(name))) throw corrupt(dir, 'the file CURRENT is missing')
  const foreign = files.find(name => !/^(LOCK|LOG|LOG\.old|MANIFEST-\d+|\d+\.dbtmp)$/.test(name))
  if (foreign !== undefined) throw unusable(dir, new Error(`there is a file that is not of a store: ${foreign}`))
}

function openFailure(dir: string, error: unknown): AoError {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
  const code = (cause as { code?: string }).code
  if (code === 'LEVEL_LOCKED') {
    return new AoError(
      'STORE_LOCKED',
      'another program has the store open',
      { dir },
      { cause, hint: `Another node is running on ${dir}: stop it, or give this one another data directory.` },
    )
  }
  const text = String((cause as Error).message)
  if (code === 'LEVEL_CORRUPTION' || /corruption|no such file/i.test(text))
    return corrupt(dir, 'LevelDB cannot read it', cause)
  return unusable(dir, cause)
}

const corrupt = (dir: string, what: string, cause?: unknown): AoError =>
  new AoError(
    'STORE_CORRUPT',
    `the store is damaged: ${what}`,
    { dir },
    { cause, hint: `Restore ${dir} from a copy, or move it away and let the node fetch its history again.` },
  )

const unusable = (dir: string, cause: unknown): AoError =>
  new AoError(
    'INVALID_CONFIG',
    'the data directory cannot be used',
    { dir, reason: cause instanceof Error ? cause.message : undefined },
    { cause, hint: 'Name a directory that is empty or new, and that this user may write to.' },
  )

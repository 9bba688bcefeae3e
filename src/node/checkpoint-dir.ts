import { rm } from 'node:fs/promises'
import { hasCode } from '../lib/errors.ts'
import { type OpenStoreOptions, openStore } from '../storage/level.ts'
import type { Store } from '../storage/store.ts'

/** A checkpoint costs 2 % more than with the usual buffer, and the node has 45 MB less in memory. */
const writeBufferBytes = 4 << 20

/**
 * The store of checkpoints, apart from all else: its large values do not slow the logs down, and it may be deleted while
 * the node is stopped at no cost but a slower start. So a damaged one is deleted here.
 *
 * @throws AoError `INVALID_CONFIG` | `STORE_LOCKED`
 */
export async function openCheckpointDir(
  dir: string,
  { log, room }: Pick<OpenStoreOptions, 'log' | 'room'>,
): Promise<Store> {
  try {
    return await openStore(dir, { log, room, writeBufferBytes })
  } catch (error) {
    if (!hasCode(error, 'STORE_CORRUPT')) throw error
    log.error('checkpoints-deleted', { dir, code: error.code, reason: error.message })
    await rm(dir, { recursive: true, force: true })
    return openStore(dir, { log, room, writeBufferBytes })
  }
}

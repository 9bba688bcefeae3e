import { join } from 'node:path'
import { silentLogger } from '../lib/telemetry.ts'
import type { Address } from '../protocol/ids.ts'
import { retireMark } from '../storage/directory-mark.ts'
import { openStore } from '../storage/level.ts'
import { LevelAssignmentLog } from '../storage/level-assignment-log.ts'
import { LevelSignGuard } from '../storage/level-sign-guard.ts'
import type { Store } from '../storage/store.ts'
import { addressOfKeyFile } from './keys.ts'
import { exportSignGuard, type GuardedLog, importSignGuard, type SignGuardFile } from './sign-guard.ts'

/**
 * What the key of a stopped node has signed, handed to `keep`. When `keep` is done, the directory is retired: its node
 * starts again only with `confirmMoved`.
 *
 * @throws AoError `STORE_LOCKED` if the node runs.
 */
export const exportFrom = (dataDir: string, keep: (file: SignGuardFile) => void): Promise<void> =>
  withGuard(dataDir, async ({ guarded, address, store }) => {
    keep(await exportSignGuard(guarded, address))
    await retireMark(store)
  })

/** Takes over what another node exported. @throws AoError as `importSignGuard`, `STORE_LOCKED` if the node runs. */
export const importInto = (dataDir: string, json: unknown): Promise<void> =>
  withGuard(dataDir, ({ guarded, address }) => importSignGuard(guarded, address, json))

interface Opened {
  readonly store: Store
  readonly guarded: GuardedLog
  readonly address: Address
}

async function withGuard(dataDir: string, use: (opened: Opened) => Promise<void>): Promise<void> {
  const address = addressOfKeyFile(join(dataDir, 'key.json'), `Make one with: aonet init --data-dir ${dataDir}`)
  const store = await openStore(join(dataDir, 'store'), { log: silentLogger })
  try {
    const guarded = { log: new LevelAssignmentLog(store), guard: new LevelSignGuard(store) }
    await use({ store, guarded, address })
  } finally {
    await store.close()
  }
}

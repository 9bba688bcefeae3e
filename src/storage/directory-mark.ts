import { readFileSync, statSync } from 'node:fs'
import { hostname } from 'node:os'
import { toUtf8, utf8 } from '../lib/bytes.ts'
import { AoError } from '../lib/errors.ts'
import { decoding } from './decoding.ts'
import { KeySpace } from './keys.ts'
import { put, type Store } from './store.ts'

/** Where a directory is. A copy of it is somewhere else, whatever it holds. */
export interface DirectoryMark {
  readonly machine: string
  readonly device: number
  readonly inode: number
}

const markKey = new KeySpace('meta').key(Buffer.from('mark'))

/** The mark of a directory as it stands here now. */
export function markOf(dir: string): DirectoryMark {
  const { dev, ino } = statSync(dir)
  return { machine: machineId(), device: dev, inode: ino }
}

/**
 * Is this the directory that the store was made in? A new store is marked; so is one whose operator says that it is the
 * true one.
 *
 * @throws AoError `STORE_LOCKED` if it was copied or moved: two copies that run would sign twice with one key.
 */
export async function checkMark(
  store: Store,
  here: DirectoryMark,
  { confirmed }: { confirmed: boolean },
): Promise<void> {
  const stored = await store.get(markKey)
  const mark = stored && decoding('mark', () => JSON.parse(toUtf8(stored)) as DirectoryMark)
  const moved = mark && changed(mark, here)
  if (mark !== undefined && moved === undefined) return
  if (moved === undefined || confirmed) return store.write([put(markKey, utf8(JSON.stringify(here)))])
  throw new AoError(
    'STORE_LOCKED',
    `the data directory was copied or moved: ${moved}`,
    { dir: store.dir },
    {
      hint: 'Make sure that no node runs on the other copy and that this is the newer one; then start once with --confirm-moved true.',
    },
  )
}

/** The first start here must say whose it is: what was exported runs elsewhere now. */
export const retireMark = (store: Store): Promise<void> =>
  store.write([put(markKey, utf8(JSON.stringify({ machine: 'exported', device: 0, inode: 0 })))])

function changed(before: DirectoryMark, here: DirectoryMark): string | undefined {
  if (before.machine === 'exported') return 'its sign guard was exported to another node'
  if (before.machine !== here.machine) return 'it was last used on another machine'
  if (before.device !== here.device) return 'it was last used on another disk'
  return before.inode === here.inode ? undefined : 'it is not the directory that was last used'
}

/** Of this installation of the operating system. A cloned machine has the same: see the README. */
function machineId(): string {
  for (const file of ['/etc/machine-id', '/var/lib/dbus/machine-id']) {
    try {
      const id = readFileSync(file, 'utf8').trim()
      if (id !== '') return id
    } catch {
      // not on this system
    }
  }
  return hostname()
}

// Writes to a small disk until a store refuses, makes room, writes again, and opens the store anew. To be started by
// `unshare -rm`, so that it may mount the disk; tells its parent what it saw.
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../../../src/lib/clock.ts'
import { AoError } from '../../../src/lib/errors.ts'
import { silentLogger, silentTelemetry } from '../../../src/lib/telemetry.ts'
import { DiskRoom } from '../../../src/storage/disk-room.ts'
import { openStore } from '../../../src/storage/level.ts'
import { put, type Store } from '../../../src/storage/store.ts'
import { eventually } from '../../support/eventually.ts'

export interface FullDiskSeen {
  readonly refused: { readonly code: string; readonly message: string }
  /** While nothing could be written. */
  readonly isRead: boolean
  readonly isDeleted: boolean
  readonly written: number
  readonly writtenAfter: number
  /** Of all, by the store that was opened anew. */
  readonly kept: number
}

const mebibyte = 2 ** 20
const disk = join(process.cwd(), 'disk')
mkdirSync(disk)
execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=160m', 'tmpfs', disk])
writeFileSync(join(disk, 'filler'), Buffer.alloc(70 * mebibyte))
const deps = { ...silentTelemetry, clock: systemClock }
const room = new DiskRoom(deps, { dir: disk, minFreeBytes: 60 * mebibyte })
const open = (): Promise<Store> => openStore(join(disk, 'store'), { log: silentLogger, room })

const rows = new Map<string, Buffer>()
let store = await open()
const writeOne = async (): Promise<void> => {
  const [key, value] = [Buffer.from(`!row!${rows.size}`), randomBytes(256 * 1024)]
  await store.write([put(key, value)])
  rows.set(key.toString(), value)
}
const writeMany = async (): Promise<AoError> => {
  for (;;) {
    try {
      await writeOne()
    } catch (error) {
      return AoError.from(error)
    }
  }
}

const refused = await writeMany()
const [[first, value] = ['', Buffer.alloc(0)]] = rows
const isRead = Buffer.from((await store.get(Buffer.from(first))) ?? []).equals(value)
await store.write([{ type: 'del', key: Buffer.from(first) }])
const isDeleted = (await store.get(Buffer.from(first))) === undefined
rows.delete(first)
rows.set('!row!0', value) // so that no later row takes its name
const written = rows.size
rmSync(join(disk, 'filler'))
await eventually(
  'the store to write again',
  () =>
    writeOne().then(
      () => true,
      () => false,
    ),
  10_000,
)
for (let i = 0; i < 20; i++) await writeOne()
const writtenAfter = rows.size
await store.close()
store = await open()
let kept = 0
for (const [key, bytes] of rows) {
  const found = await store.get(Buffer.from(key))
  if (key !== '!row!0' && found !== undefined && bytes.equals(found)) kept++
}
await store.close()
process.send?.({
  ...{ refused: { code: refused.code, message: refused.message }, isRead, isDeleted },
  ...{ written, writtenAfter, kept },
} satisfies FullDiskSeen)

import { statfsSync } from 'node:fs'
import type { Clock } from '../lib/clock.ts'
import { AoError } from '../lib/errors.ts'
import type { Telemetry } from '../lib/telemetry.ts'

/** How long a look at the disk counts, in milliseconds. */
const looksMs = 1_000
/** And for what part of what is kept free: LevelDB writes a thing several times. */
const looksPart = 1 / 16

export interface DiskRoomOptions {
  /** A directory on the disk. */
  readonly dir: string
  /** What is kept free of it. 0: nothing. */
  readonly minFreeBytes: number
}

/**
 * Whether the disk of a node has room. Writing ends before it is full, for a LevelDB that failed to write goes on to fail
 * until it is opened anew; so a node that runs out of disk keeps what it has, and goes on by itself once there is room.
 */
export class DiskRoom {
  readonly #deps: Telemetry & { readonly clock: Clock; readonly freeBytes?: (dir: string) => number }
  readonly #options: DiskRoomOptions
  #lookedAt = Number.NEGATIVE_INFINITY
  #free = Number.POSITIVE_INFINITY
  #isShort = false
  /** Bytes that were to be written since the last look. */
  #since = 0

  /** @param deps `freeBytes` tells the space that this user may still take; by default the system does. */
  constructor(
    deps: Telemetry & { readonly clock: Clock; readonly freeBytes?: (dir: string) => number },
    options: DiskRoomOptions,
  ) {
    this.#deps = deps
    this.#options = options
    deps.metrics.gauge('aonet_disk_free_bytes', 'free space of the disk that holds the data directory', () => {
      this.shortage()
      return this.#free
    })
  }

  /** Why so many bytes may not be written now, as a `LOG_WRITE_FAILED`; undefined while there is room. */
  shortage(bytes = 0): AoError | undefined {
    this.#since += bytes
    this.#look()
    if (!this.#isShort) return undefined
    const { dir, minFreeBytes } = this.#options
    return new AoError(
      'LOG_WRITE_FAILED',
      'the disk is nearly full',
      { dir, freeBytes: this.#free, minFreeBytes },
      { hint: 'Free some space: the node then goes on by itself. minFreeDiskMb says how much it leaves.' },
    )
  }

  #look(): void {
    const { clock, log, freeBytes = freeBytesOf } = this.#deps
    const { dir, minFreeBytes } = this.#options
    const now = clock.now()
    const isRecent = now - this.#lookedAt < looksMs && now >= this.#lookedAt
    if (isRecent && this.#since <= minFreeBytes * looksPart) return
    this.#lookedAt = now
    this.#since = 0
    this.#free = freeBytes(dir)
    const isShort = this.#free < minFreeBytes
    if (isShort !== this.#isShort) {
      const facts = { dir, freeBytes: this.#free, minFreeBytes }
      if (isShort) log.error('disk-nearly-full', facts)
      else log.info('disk-has-room', facts)
    }
    this.#isShort = isShort
  }
}

function freeBytesOf(dir: string): number {
  const { bavail, bsize } = statfsSync(dir)
  return bavail * bsize
}

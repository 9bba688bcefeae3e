import { AoError } from '../../lib/errors.ts'
import type { MemoryDump } from '../../ports/units.ts'
import type { VmImage } from '../../ports/vm.ts'
import { parseNonce } from '../../protocol/ids.ts'
import { packMemory } from './full-memory.ts'
import type { Live } from './live.ts'

/** Handed on at a time. */
const sliceBytes = 256 * 1024

/** Memories that are being read: each is held, gzipped, until its reader has it or has gone. */
export class Dumps {
  readonly #limit: number
  #open = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  /** @throws AoError `OVERLOADED` if too many are being read. */
  async open(
    take: () => Promise<{ image: VmImage; live: Live }>,
    signal: AbortSignal | undefined,
  ): Promise<MemoryDump> {
    if (this.#open >= this.#limit) throw full(this.#limit)
    this.#open++
    let isOpen = true
    const close = (): void => {
      if (isOpen) this.#open--
      isOpen = false
      signal?.removeEventListener('abort', close)
    }
    signal?.addEventListener('abort', close, { once: true })
    try {
      const { image, live } = await take()
      const { data } = await packMemory(image)
      return { ...placeOf(live), memoryBytes: image.memoryBytes, gzip: slices(data, close) }
    } catch (error) {
      close()
      throw error
    }
  }
}

async function* slices(data: Uint8Array, close: () => void): AsyncGenerator<Uint8Array> {
  try {
    for (let at = 0; at < data.length; at += sliceBytes) yield data.subarray(at, at + sliceBytes)
  } finally {
    close()
  }
}

/** Of the last message that was applied, or of the cron message after it. */
const placeOf = ({ at, cron }: Live): Pick<MemoryDump, 'nonce' | 'timestamp' | 'blockHeight'> => ({
  nonce: parseNonce(at?.nonce),
  timestamp: (cron ?? at)?.timestamp ?? 0,
  blockHeight: (cron ?? at)?.blockHeight ?? 0,
})

const full = (limit: number): AoError =>
  new AoError('OVERLOADED', 'too many memories are being read', { limit }, { hint: 'Ask again in a moment.' })

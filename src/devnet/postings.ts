import { postingKey, seqOf } from './search-keys.ts'
import type { Tables } from './store.ts'

/** A sorted stream of `seq`s that can jump ahead. */
export interface SeqStream {
  /** The first `seq` at or past `to` in the stream's direction; undefined at the end. Never goes back. */
  advance(to: number): Promise<number | undefined>
  close(): Promise<void>
}

/** One posting list. */
export function postingStream(table: Tables['postings'], list: string, descending: boolean): SeqStream {
  const keys = table.keys({ gte: `${list}:`, lt: `${list};`, reverse: descending })
  const reached = (seq: number, to: number): boolean => (descending ? seq <= to : seq >= to)
  let current: number | undefined
  let ended = false
  const step = async (): Promise<void> => {
    const key = await keys.next()
    ended = key === undefined
    current = key === undefined ? undefined : seqOf(key)
  }
  return {
    async advance(to) {
      if (current !== undefined && reached(current, to)) return current
      // Lists are often dense, so one step is tried before the dearer jump.
      if (current !== undefined) await step()
      if (!ended && (current === undefined || !reached(current, to))) {
        keys.seek(postingKey(list, to))
        await step()
      }
      return current
    },
    close: () => keys.close(),
  }
}

/** Every `seq` that is in any of the streams. */
export function unionOf(streams: readonly SeqStream[], descending: boolean): SeqStream {
  return {
    async advance(to) {
      const next = (await Promise.all(streams.map(stream => stream.advance(to)))).filter(seq => seq !== undefined)
      if (next.length === 0) return undefined
      return descending ? Math.max(...next) : Math.min(...next)
    },
    close: () => closeAll(streams),
  }
}

/** Every `seq` that is in all of the streams: each jumps to where the furthest is, so the shortest sets the cost. */
export function intersectionOf(streams: readonly SeqStream[]): SeqStream {
  return {
    async advance(to) {
      let target = to
      for (let agreed = 0; agreed < streams.length; ) {
        for (const stream of streams) {
          const seq = await stream.advance(target)
          if (seq === undefined) return undefined
          agreed = seq === target ? agreed + 1 : 1
          target = seq
          if (agreed >= streams.length) break
        }
      }
      return target
    },
    close: () => closeAll(streams),
  }
}

const closeAll = async (streams: readonly SeqStream[]): Promise<void> => {
  await Promise.all(streams.map(stream => stream.close()))
}

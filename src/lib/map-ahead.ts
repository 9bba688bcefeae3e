export interface AheadLimits {
  /** Entries under way. */
  readonly entries: number
  /** Their bytes; a single larger entry goes alone. */
  readonly bytes: number
}

/**
 * Works on what comes next while its reader is still busy, within the limits. Gives the results in the order of the
 * source, each as soon as it is there. A reader that leaves does not wait for the source: whoever made it ends it.
 */
export async function* mapAhead<T, R>(
  source: AsyncIterable<T>,
  work: (entry: T) => Promise<R>,
  { limits, bytesOf }: { readonly limits: AheadLimits; readonly bytesOf: (entry: T) => number },
): AsyncGenerator<R, void, undefined> {
  const iterator = source[Symbol.asyncIterator]()
  const under: { readonly bytes: number; readonly result: Promise<R> }[] = []
  let bytes = 0
  let done = false
  /** Settles when one more entry was read, or none is left. */
  let reading: Promise<void> | undefined
  const readOne = async (): Promise<void> => {
    const next = await iterator.next()
    reading = undefined
    if (next.done === true) {
      done = true
      return
    }
    const result = work(next.value)
    result.catch(() => undefined) // seen when its turn comes
    under.push({ bytes: bytesOf(next.value), result })
    bytes += bytesOf(next.value)
  }
  try {
    for (;;) {
      if (!done && under.length < limits.entries && bytes < limits.bytes) {
        reading ??= readOne()
        reading.catch(() => undefined)
      }
      const [first] = under
      if (first === undefined) {
        if (reading === undefined) return
        await reading
        continue
      }
      const isReady = await Promise.race([
        first.result.then(() => true),
        ...(reading ? [reading.then(() => false)] : []),
      ])
      if (!isReady) continue
      under.shift()
      bytes -= first.bytes
      yield await first.result
    }
  } finally {
    iterator.return?.().catch(() => undefined)
  }
}

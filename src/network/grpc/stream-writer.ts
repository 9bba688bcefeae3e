import { throwIfAborted } from '../../lib/abort.ts'
import { AoError } from '../../lib/errors.ts'

interface Sink<T> {
  write(row: T): boolean
  once(event: 'drain', listener: () => void): unknown
  off(event: 'drain', listener: () => void): unknown
}

/** Writes to a stream no faster than it is read. Many writers may wait at once; one listener serves them all. */
export class StreamWriter<T> {
  readonly #sink: Sink<T>
  readonly #signal: AbortSignal
  #drained: Promise<void> | undefined

  constructor(sink: Sink<T>, { signal }: { readonly signal: AbortSignal }) {
    this.#sink = sink
    this.#signal = signal
  }

  /** Resolves when the stream will take another row. @throws the signal's reason */
  async write(row: T): Promise<void> {
    throwIfAborted(this.#signal)
    if (this.#sink.write(row)) return
    this.#drained ??= this.#drain()
    await this.#drained
  }

  #drain(): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const onAbort = (): void => {
        done()
        reject(AoError.from(this.#signal.reason))
      }
      const done = (): void => {
        this.#drained = undefined
        this.#sink.off('drain', onDrain)
        this.#signal.removeEventListener('abort', onAbort)
      }
      const onDrain = (): void => {
        done()
        resolve()
      }
      this.#sink.once('drain', onDrain)
      this.#signal.addEventListener('abort', onAbort, { once: true })
    })
  }
}

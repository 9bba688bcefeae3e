import { Duplex } from 'node:stream'
import type { Stream } from '@libp2p/interface'

/** A libp2p stream as gRPC wants its connections: a socket in all that matters, with backpressure both ways. */
export class StreamDuplex extends Duplex {
  readonly #stream: Stream

  constructor(stream: Stream) {
    super({ allowHalfOpen: true })
    this.#stream = stream
    stream.pause() // until somebody reads
    stream.addEventListener('message', event => {
      const { data } = event as unknown as { readonly data: { subarray(): Uint8Array } }
      if (!this.push(data.subarray())) stream.pause()
    })
    stream.addEventListener('remoteCloseWrite', () => this.push(null))
    stream.addEventListener('close', event => {
      const { error } = event as unknown as { readonly error?: Error }
      this.destroy(error)
    })
  }

  override _read(): void {
    this.#stream.resume()
  }

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error | null) => void): void {
    this.#send(chunk).then(
      () => done(),
      (error: Error) => done(error),
    )
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#stream.close().then(
      () => done(),
      () => done(), // the other side is gone: there is nobody to tell that we have ended
    )
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (error !== null) this.#stream.abort(error)
    else this.#stream.close().catch(() => this.#stream.abort(new Error('ended')))
    done(error)
  }

  async #send(chunk: Uint8Array): Promise<void> {
    if (!this.#stream.send(chunk)) await this.#stream.onDrain()
  }

  // What sockets have and nobody needs here.
  setNoDelay(): this {
    return this
  }
  setKeepAlive(): this {
    return this
  }
  setTimeout(): this {
    return this
  }
  ref(): this {
    return this
  }
  unref(): this {
    return this
  }
}

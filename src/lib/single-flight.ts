/** Many callers, one running computation per key. The flight ends when the computation settles. */
export class SingleFlight<K, V> {
  readonly #flights = new Map<K, Promise<V>>()

  run(key: K, compute: () => Promise<V>): Promise<V> {
    const running = this.#flights.get(key)
    if (running !== undefined) return running
    const flight = compute().finally(() => this.#flights.delete(key))
    this.#flights.set(key, flight)
    return flight
  }

  get size(): number {
    return this.#flights.size
  }
}

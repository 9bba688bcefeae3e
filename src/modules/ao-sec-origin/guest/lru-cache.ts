/** In place of `lru-cache`: a module's memory is its state, and what it needs again it works out again. */
export class LRUCache<K, V> {
  get(_key: K): V | undefined {
    return undefined
  }

  set(_key: K, _value: V): void {}
}

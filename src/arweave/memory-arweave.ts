import { type AbortOptions, throwIfAborted } from '../lib/abort.ts'
import { asBuffer, concat, copyOf, sha256, sha384, toBase64Url, utf8 } from '../lib/bytes.ts'
import { type Clock, systemClock } from '../lib/clock.ts'
import { AoError, hasCode } from '../lib/errors.ts'
import type { ArweaveClient, BundleIndex, ItemGlimpse, LayerOneTx, PreparedTx, TxStatus } from '../ports/settlement.ts'
import type { ItemIndex } from '../ports/trace.ts'
import type { BlockAnchor } from '../protocol/assignment.ts'
import { bundleTags, unpackBundle } from '../protocol/bundle.ts'
import { type DataItem, verifyDataItem } from '../protocol/data-item.ts'
import { type Address, addressOfKey, type Id, idFromBytes, idToBytes } from '../protocol/ids.ts'
import { hasTag, type Tag } from '../protocol/tags.ts'

interface MemoryTx {
  readonly bundle: Uint8Array
  height: number | undefined
}

/** Who carries an item: transactions that hold it, or the uploader. */
type Carrier = Id | 'uploader'

/** An Arweave in memory for tests: it mines and forgets when told to, and is otherwise as strict as the real one. */
export class MemoryArweave implements ArweaveClient, ItemIndex, BundleIndex {
  readonly #clock: Clock
  readonly #txs = new Map<Id, MemoryTx>()
  readonly #items = new Map<Id, { readonly item: DataItem; readonly carriers: Set<Carrier> }>()
  readonly #blocks = new Map<number, BlockAnchor>()
  #prepared = 0
  #head: BlockAnchor

  constructor({ clock = systemClock, startHeight = 1_500_000 }: { clock?: Clock; startHeight?: number } = {}) {
    this.#clock = clock
    this.#head = this.#block(startHeight, '')
  }

  /** Puts all that is pending into a block. */
  mine(): BlockAnchor {
    this.#head = this.#block(this.#head.height + 1, this.#head.hash)
    for (const tx of this.#txs.values()) tx.height ??= this.#head.height
    return this.#head
  }

  /** Forgets a transaction and what only it carried, as a fork or a full mempool does. */
  drop(txId: Id): void {
    this.#txs.delete(txId)
    for (const [id, { carriers }] of this.#items) {
      carriers.delete(txId)
      if (carriers.size === 0) this.#items.delete(id)
    }
  }

  async prepare(bundle: Uint8Array, { signal }: AbortOptions = {}): Promise<PreparedTx> {
    throwIfAborted(signal)
    // Signing twice gives two transactions, as on Arweave.
    const id = idFromBytes(sha256(utf8(`tx ${this.#prepared++}`), bundle))
    return { id, payload: concat(idToBytes(id), bundle) }
  }

  async post({ id, payload }: PreparedTx, { signal }: AbortOptions = {}): Promise<void> {
    throwIfAborted(signal)
    if (!asBuffer(payload).subarray(0, 32).equals(idToBytes(id))) {
      throw new AoError('INVALID_ARGUMENT', 'the payload is not the prepared transaction', { id })
    }
    if (this.#txs.has(id)) return
    const bundle = copyOf(payload.subarray(32))
    const items = await verifiedItems(bundle)
    this.#txs.set(id, { bundle, height: undefined })
    for (const item of items) this.#carry(item, id)
  }

  async status(id: Id, { signal }: AbortOptions = {}): Promise<TxStatus> {
    throwIfAborted(signal)
    const tx = this.#txs.get(id)
    if (tx === undefined) return 'absent'
    if (tx.height === undefined) return 'pending'
    return { blockHeight: tx.height, confirmations: this.#head.height - tx.height + 1 }
  }

  async data(id: Id, { signal }: AbortOptions = {}): Promise<Uint8Array | undefined> {
    throwIfAborted(signal)
    return this.#txs.get(id)?.bundle ?? this.#items.get(id)?.item.data
  }

  async item(id: Id, { signal }: AbortOptions = {}): Promise<DataItem | undefined> {
    throwIfAborted(signal)
    return this.#items.get(id)?.item
  }

  /** What was posted: it carries its bundle, and nobody in particular signed it. */
  async transaction(id: Id, { signal }: AbortOptions = {}): Promise<LayerOneTx | undefined> {
    throwIfAborted(signal)
    const tx = this.#txs.get(id)
    if (tx === undefined) return undefined
    const nobody = new Uint8Array(512)
    return {
      ...{ id, owner: addressOfKey(nobody), ownerKey: nobody, signature: nobody, target: '', anchor: '' },
      ...{ tags: bundleTags, dataSize: tx.bundle.length },
    }
  }

  async transactionData(id: Id, { signal }: AbortOptions = {}): Promise<Uint8Array | undefined> {
    throwIfAborted(signal)
    return this.#txs.get(id)?.bundle
  }

  async bundleOf(item: Id, { signal }: AbortOptions = {}): Promise<Id | undefined> {
    throwIfAborted(signal)
    return [...(this.#items.get(item)?.carriers ?? [])].find((carrier): carrier is Id => carrier !== 'uploader')
  }

  async bundlesWith(tags: readonly Tag[], { signal }: AbortOptions = {}): Promise<readonly Id[]> {
    throwIfAborted(signal)
    return this.#carriersOf(item => tags.every(({ name, value }) => hasTag(item.tags, name, value)))
  }

  async bundlesTo(target: Id, { signal }: AbortOptions = {}): Promise<readonly Id[]> {
    throwIfAborted(signal)
    return this.#carriersOf(item => (item.target as Id | undefined) === target)
  }

  #carriersOf(fits: (item: DataItem) => boolean): readonly Id[] {
    const found = [...this.#items.values()].filter(({ item }) => fits(item))
    const carriers = new Set(found.flatMap(entry => [...entry.carriers]))
    return [...this.#txs.keys()].filter(id => carriers.has(id))
  }

  async signedBy(
    owner: Address,
    tags: readonly Tag[],
    { signal, limit }: AbortOptions & { readonly limit: number },
  ): Promise<readonly ItemGlimpse[]> {
    throwIfAborted(signal)
    return [...this.#items.values()]
      .map(({ item }) => item)
      .filter(item => item.owner === owner && tags.every(({ name, value }) => hasTag(item.tags, name, value)))
      .slice(-limit)
      .reverse()
  }

  async upload(item: DataItem, { signal }: AbortOptions = {}): Promise<void> {
    throwIfAborted(signal)
    this.#carry(item, 'uploader')
    if (isBundle(item)) for (const inner of await verifiedItems(item.data)) this.#carry(inner, 'uploader')
  }

  async block(height: number, { signal }: AbortOptions = {}): Promise<BlockAnchor | undefined> {
    throwIfAborted(signal)
    return this.#blocks.get(height)
  }

  async head({ signal }: AbortOptions = {}): Promise<BlockAnchor> {
    throwIfAborted(signal)
    return this.#head
  }

  #carry(item: DataItem, carrier: Carrier): void {
    const known = this.#items.get(item.id)
    if (known === undefined) this.#items.set(item.id, { item, carriers: new Set([carrier]) })
    else known.carriers.add(carrier)
  }

  #block(height: number, previous: string): BlockAnchor {
    // Blocks of Arweave count seconds.
    const timestamp = Math.floor(this.#clock.now() / 1000) * 1000
    const block = { height, hash: toBase64Url(sha384(utf8(`${previous} ${height} ${timestamp}`))), timestamp }
    this.#blocks.set(height, block)
    return block
  }
}

const isBundle = (item: DataItem): boolean => bundleTags.every(({ name, value }) => hasTag(item.tags, name, value))

/** The items of a bundle and of bundles in it; what does not verify is left out, as gateways do. */
async function verifiedItems(bundle: Uint8Array): Promise<readonly DataItem[]> {
  const items: DataItem[] = []
  try {
    for (const { bytes } of unpackBundle(bundle)) {
      const item = await verifyDataItem(bytes, { maxBytes: bytes.length }).catch(ifInvalid)
      if (item === undefined) continue
      items.push(item, ...(isBundle(item) ? await verifiedItems(item.data) : []))
    }
  } catch (error) {
    ifInvalid(error)
  }
  return items
}

const ifInvalid = (error: unknown): undefined => {
  if (!hasCode(error, 'INVALID_DATA_ITEM')) throw error
}

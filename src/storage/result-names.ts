import { sha256, toHex, utf8 } from '../lib/bytes.ts'
import type { PlacedMessage } from '../ports/result-store.ts'
import type { MessageId, Nonce, ProcessId } from '../protocol/ids.ts'
import type { Origin } from '../protocol/origin.ts'
import { fromU64, idPart, KeySpace, u64 } from './keys.ts'
import { del, put, type Store, type WriteOp } from './store.ts'

/** (process, message or hash of its origin) → nonce at which it stood first. */
const nonces = new KeySpace('result-nonce')
/** process → the nonce up to which `learn` was told. */
const learned = new KeySpace('result-learned')

/** Of one write: names come and go in parts of so many. */
const chunk = 1_024

/** Where each message of a Process, and what it pushes, stood first. Its user sees to it that writes of one Process follow each other. */
export class ResultNames {
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  async nonceOf(process: ProcessId, message: MessageId, origin?: Origin): Promise<Nonce | undefined> {
    const found = await this.#store.getMany(keysOf(process, { message, origin }))
    const places = found.flatMap(nonce => (nonce === undefined ? [] : [fromU64(nonce)]))
    return places.length === 0 ? undefined : (Math.min(...places) as Nonce)
  }

  /**
   * What stores the names of a message at its nonce.
   *
   * @param at.isRepeat whether some may have stood before, which stay there.
   * @param given names that others of the same write give; those of this message are added.
   */
  async write(
    process: ProcessId,
    at: PlacedMessage & { readonly isRepeat?: boolean | undefined },
    given: Set<string>,
  ): Promise<readonly WriteOp[]> {
    const all = keysOf(process, at)
    const names = at.isRepeat ? (await this.#unknown(all)).filter(name => !given.has(toHex(name))) : all
    for (const name of names) given.add(toHex(name))
    return names.map(name => put(name, u64(at.nonce)))
  }

  /** What removes those of a message that stands after a nonce: what stood before already keeps its first place. */
  async forget(process: ProcessId, message: Omit<PlacedMessage, 'nonce'>, after: Nonce): Promise<readonly WriteOp[]> {
    const names = keysOf(process, message)
    const places = await this.#store.getMany(names)
    return names.filter((_, i) => isAfter(places[i], after)).map(del)
  }

  async learned(process: ProcessId): Promise<Nonce | undefined> {
    const found = await this.#store.get(learned.key(idPart(process)))
    return found && (fromU64(found) as Nonce)
  }

  /** Ascending; all of them or none. */
  async learn(process: ProcessId, messages: readonly PlacedMessage[]): Promise<void> {
    const last = messages.at(-1)
    if (last === undefined) return
    const given = new Set<string>()
    const ops: WriteOp[] = [put(learned.key(idPart(process)), u64(last.nonce))]
    for (const message of messages) {
      const names = keysOf(process, message)
      const places = await this.#store.getMany(names)
      const fresh = names.filter((name, i) => isAfter(places[i] ?? never, message.nonce) && !given.has(toHex(name)))
      for (const name of fresh) given.add(toHex(name))
      ops.push(...fresh.map(name => put(name, u64(message.nonce))))
    }
    await this.#store.write(ops)
  }

  /** Forgets what was learned of messages after a nonce. */
  async unlearn(process: ProcessId, after: Nonce): Promise<void> {
    const to = await this.learned(process)
    if (to === undefined || to <= after) return
    let ops: WriteOp[] = [put(learned.key(idPart(process)), u64(after))]
    for await (const [key, place] of this.#store.entries(nonces.range(idPart(process)))) {
      if (isAfter(place, after)) ops.push(del(key))
      if (ops.length < chunk) continue
      await this.#store.write(ops)
      ops = []
    }
    await this.#store.write(ops)
  }

  async #unknown(keys: readonly Uint8Array[]): Promise<readonly Uint8Array[]> {
    const found = await this.#store.getMany(keys)
    return keys.filter((_, i) => found[i] === undefined)
  }
}

/** Later than any. */
const never = u64(Number.MAX_SAFE_INTEGER)
const isAfter = (place: Uint8Array | undefined, nonce: Nonce): boolean => place !== undefined && fromU64(place) > nonce
const keysOf = (process: ProcessId, { message, origin }: Omit<PlacedMessage, 'nonce'>): Uint8Array[] =>
  [idPart(message), ...(origin === undefined ? [] : [sha256(utf8(origin))])].map(name =>
    nonces.key(idPart(process), name),
  )

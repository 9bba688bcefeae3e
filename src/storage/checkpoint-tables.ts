import type { Id, Nonce, ProcessId } from '../protocol/ids.ts'
import { fromIdPart, fromU64, idPart, type KeyRange, KeySpace, u64 } from './keys.ts'

/** (process, nonce) → manifest. */
const manifests = new KeySpace('checkpoint')
/** hash → packed page. */
const pages = new KeySpace('checkpoint-page')
/** (hash, process, nonce): the manifest names the page. */
const refs = new KeySpace('checkpoint-ref')

/** How checkpoints lie in a Store. */
export const checkpointTables = {
  totalsKey: new KeySpace('checkpoint-totals').key(),
  manifestKey: (process: ProcessId, nonce: Nonce): Uint8Array => manifests.key(idPart(process), u64(nonce)),
  manifestsOf: (process: ProcessId): KeyRange => manifests.range(idPart(process)),
  nonceOf: (manifestKey: Uint8Array): Nonce => fromU64(manifests.part(manifestKey, 32, 8)) as Nonce,
  pageKey: (hash: Id): Uint8Array => pages.key(idPart(hash)),
  allPages: (): KeyRange => pages.range(),
  hashOf: (pageKey: Uint8Array): Id => fromIdPart(pages.part(pageKey, 0, 32)),
  refKey: (hash: Id, process: ProcessId, nonce: Nonce): Uint8Array =>
    refs.key(idPart(hash), idPart(process), u64(nonce)),
  refsOf: (hash: Id): KeyRange => refs.range(idPart(hash)),
  allRefs: (): KeyRange => refs.range(),
  readRef: (key: Uint8Array): { hash: Id; process: ProcessId; nonce: Nonce } => ({
    hash: fromIdPart(refs.part(key, 0, 32)),
    process: fromIdPart<ProcessId>(refs.part(key, 32, 32)),
    nonce: fromU64(refs.part(key, 64, 8)) as Nonce,
  }),
}

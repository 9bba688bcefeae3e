/** What a thread is started with: the memory of its slots, which is shared so that nothing is allocated for a chunk. */
export interface CheckThreadData {
  readonly slots: readonly SharedArrayBuffer[]
}
/** A chunk: the slot its items lie in, one after the other, and where each ends. One too large for a slot comes itself. */
export type CheckRequest = { readonly slot: number; readonly ends: readonly number[] } | { readonly large: Uint8Array }
/** The bit of each item that is good. */
export type CheckAnswer = number

/** As many items as an answer has bits. */
export const maxChunkItems = 30
export const slotBytes = 256 * 1024

/** Signed bytes of unit records met before, kept over a restart: where to look for the network first. */
export interface RecordStore {
  /** Best first. */
  load(): Promise<readonly Uint8Array[]>
  /** Replaces all that was saved. */
  save(records: readonly Uint8Array[]): Promise<void>
}

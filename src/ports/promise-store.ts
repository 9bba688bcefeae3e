import type { MessageId, ProcessId } from '../protocol/ids.ts'

/** A message that an MU has promised to deliver, without the message. */
export interface PromiseHead {
  readonly process: ProcessId
  readonly message: MessageId
  /** Block height by which it has to be ordered. */
  readonly deadline: number
  readonly isOrdered: boolean
}
export interface PromisedDelivery extends Omit<PromiseHead, 'isOrdered'> {
  /** Signed bytes of the message. */
  readonly item: Uint8Array
  /** Signed bytes of the Delivery-Promise. */
  readonly promise: Uint8Array
  /** Signed bytes, once there is one. */
  readonly assignment: Uint8Array | undefined
}

/** What an MU owes, and can show of it. Each write resolves when on disk. */
export interface PromiseStore {
  heads(): Promise<readonly PromiseHead[]>
  get(message: MessageId): Promise<PromisedDelivery | undefined>
  /** In the place of what is kept of that message. */
  put(promised: PromisedDelivery): Promise<void>
  remove(message: MessageId): Promise<void>
}

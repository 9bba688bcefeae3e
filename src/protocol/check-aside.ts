import type { ProcessId } from './ids.ts'
import { digestOf, splitItem } from './item-parts.ts'
import { verifySignature, verifySignatureAside } from './signatures.ts'

/**
 * Whether the signature of these ANS-104 bytes, which were parsed already, is good. What is for one Process takes turns
 * with what is for others.
 */
export type SignatureCheck = (bytes: Uint8Array, process: ProcessId) => Promise<boolean>

/** The check itself, on this thread. */
export function signatureHolds(bytes: Uint8Array): boolean {
  const parts = splitItem(bytes, { maxBytes: bytes.length })
  return verifySignature(parts.signatureType, parts.ownerKey, digestOf(parts), parts.signature)
}

/** Where no threads of our own run: the digest here, the rest in a thread of Node's pool. */
const inNodePool: SignatureCheck = async bytes => {
  const parts = splitItem(bytes, { maxBytes: bytes.length })
  return verifySignatureAside(parts.signatureType, parts.ownerKey, digestOf(parts), parts.signature)
}

let check = inNodePool

/** Checks in whatever threads this program has. */
export const checkAside: SignatureCheck = (bytes, process) => check(bytes, process)

/** Threads belong to the program, not to one unit of it: who starts them says so here, and again without when they end. */
export function checkSignaturesIn(threads: SignatureCheck | undefined): void {
  check = threads ?? inNodePool
}

import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { ColdReply, ColdRequest } from './cold-cu.ts'

/** The Compute Unit to fork. */
export const coldCuFile = new URL(import.meta.url.endsWith('.ts') ? './cold-cu.ts' : './cold-cu.js', import.meta.url)

/** One request at a time. */
export async function ask(child: ChildProcess, request: ColdRequest): Promise<ColdReply> {
  const heard = once(child, 'message') as Promise<[ColdReply]>
  child.send(request)
  return (await heard)[0]
}

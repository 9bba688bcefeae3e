import { createPrivateKey } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { concat, fromBase64Url, sha256, utf8 } from '../../src/lib/bytes.ts'
import {
  type Assignment,
  type BlockAnchor,
  draftAssignment,
  nextAssignment,
  parseAssignment,
  type ScheduledMessage,
} from '../../src/protocol/assignment.ts'
import type { DataItem, Draft } from '../../src/protocol/data-item.ts'
import { type Address, type Id, idFromBytes, type ModuleId, type ProcessId } from '../../src/protocol/ids.ts'
import { type PrivateJwk, type Signer, signerFromJwk } from '../../src/protocol/keys.ts'
import { type Tag, tagsOf } from '../../src/protocol/tags.ts'

const pkcs8Ed25519 = fromBase64Url('MC4CAQAwBQYDK2VwBCIEIA')

/** The Ed25519 key that a seed text stands for: the same seed gives the same key in every run. */
export const testJwk = (seed: string): PrivateJwk =>
  createPrivateKey({
    key: Buffer.from(concat(pkcs8Ed25519, sha256(utf8(seed)))),
    format: 'der',
    type: 'pkcs8',
  }).export({ format: 'jwk' }) as PrivateJwk

/** A signer that signs as the seed's key, always the same bytes for the same draft. */
export const testSigner = (seed = 'user'): Signer => signerFromJwk(testJwk(seed))

/** Some id, the same for the same text. */
export const anId = <T extends Id = Id>(text = 'id'): T => idFromBytes<T>(sha256(utf8(text)))

/** A signed item with whatever of the draft you give. */
export const anItem = (draft: Partial<Draft> = {}, signer = testSigner()): Promise<DataItem> =>
  signer.sign({ tags: [], data: new Uint8Array(0), ...draft })

export interface ProcessOptions {
  readonly signer?: Signer
  /** Default: `testSigner('su')`'s address. */
  readonly scheduler?: Address
  readonly module?: ModuleId
  readonly authorities?: readonly Address[]
  readonly tags?: readonly Tag[]
  readonly data?: string
  readonly target?: ProcessId | undefined
}

/** A signed Process item. Items with equal options are equal: give a Name tag to tell them apart. */
export const aProcess = (options: ProcessOptions = {}): Promise<DataItem> =>
  anItem(
    {
      target: options.target,
      data: utf8(options.data ?? '1984'),
      tags: [
        ...tagsOf(
          ['Data-Protocol', 'ao'],
          ['Type', 'Process'],
          ['Variant', 'ao.TN.1'],
          ['Module', options.module ?? anId('module')],
          ['Scheduler', options.scheduler ?? testSigner('su').address],
        ),
        ...(options.authorities ?? []).map((value): Tag => ({ name: 'Authority', value })),
        ...(options.tags ?? []),
      ],
    },
    options.signer,
  )

/** The Process id of a Process item. */
export const processIdOf = (item: DataItem): ProcessId => item.id as Id as ProcessId

export interface MessageOptions {
  readonly signer?: Signer
  readonly tags?: readonly Tag[]
  readonly data?: string
  readonly anchor?: string
}

/** A signed Message for a Process. Two with equal options are the same message. */
export const aMessage = (process: ProcessId | DataItem, options: MessageOptions = {}): Promise<DataItem> =>
  anItem(
    {
      target: typeof process === 'string' ? process : processIdOf(process),
      anchor: options.anchor,
      data: utf8(options.data ?? 'hello'),
      tags: [...tagsOf(['Data-Protocol', 'ao'], ['Type', 'Message'], ['Variant', 'ao.TN.1']), ...(options.tags ?? [])],
    },
    options.signer,
  )

/** `count` different messages for a Process. */
export const messages = (process: ProcessId | DataItem, count: number): Promise<DataItem[]> =>
  Promise.all(Array.from({ length: count }, (_, i) => aMessage(process, { data: `message ${i + 1}` })))

export interface ScheduleOptions {
  /** The SU. Default: `testSigner('su')`. */
  readonly scheduler?: Signer
  /** Time of nonce 0 in milliseconds; each assignment is `stepMs` later, one unless told. */
  readonly startAt?: number
  readonly stepMs?: number
  readonly block?: BlockAnchor
}

/** The Process at nonce 0 and then the messages, properly chained and signed by a test SU. */
export async function schedule(
  process: DataItem,
  following: readonly DataItem[] = [],
  options: ScheduleOptions = {},
): Promise<ScheduledMessage[]> {
  const signer = options.scheduler ?? testSigner('su')
  const block = options.block ?? { height: 1_500_000, hash: anId('block'), timestamp: 1_700_000_000_000 }
  const scheduled: ScheduledMessage[] = []
  let previous: Assignment | undefined
  for (const [i, message] of [process, ...following].entries()) {
    const now = (options.startAt ?? 1_700_000_000_000) + i * (options.stepMs ?? 1)
    const fields = nextAssignment(previous, { process: processIdOf(process), message: message.id, now, block })
    previous = parseAssignment(await signer.sign(draftAssignment(fields)))
    scheduled.push({ assignment: previous, message })
  }
  return scheduled
}

/** Gives `use` a directory of its own and removes it after. */
export async function withTempDir<T>(use: (dir: string) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(join(tmpdir(), 'aonet-test-'))
  try {
    return await use(dir)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

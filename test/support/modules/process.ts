import { sha256, utf8 } from '../../../src/lib/bytes.ts'
import type { Json } from '../../../src/lib/json.ts'
import type { ProcessSetup, VmEnvironment, VmMessage } from '../../../src/ports/vm.ts'
import { idFromBytes, type ProcessId } from '../../../src/protocol/ids.ts'
import type { Tag } from '../../../src/protocol/tags.ts'

/** An id that is the same for the same name. */
export const idOf = (name: string): ProcessId => idFromBytes(sha256(utf8(name))) as ProcessId

export const ownerOf = (process: ProcessId): string => idOf(`owner of ${process}`)

export const mebibytes = (count: number): number => count << 20

export const tagsOf = (tags: Readonly<Record<string, string>>): Tag[] =>
  Object.entries(tags).map(([name, value]) => ({ name, value }))

export function environmentOf(process: ProcessId): VmEnvironment {
  const tags = tagsOf({
    'Data-Protocol': 'ao',
    Variant: 'ao.TN.1',
    Type: 'Process',
    Module: idOf('module'),
    Authority: idOf('authority'),
  })
  const owner = ownerOf(process)
  return { Process: { Id: process, Owner: owner, Tags: tags }, Module: { Id: idOf('module'), Owner: owner, Tags: [] } }
}

export interface SetupOptions {
  readonly bytes: Uint8Array
  readonly format: string
  readonly memoryBytes?: number
  readonly module?: string
}

export function setupOf(
  process: ProcessId,
  { bytes, format, memoryBytes, module = 'module' }: SetupOptions,
): ProcessSetup {
  return {
    process,
    module: idOf(module),
    format,
    environment: environmentOf(process),
    limits: { memoryBytes: memoryBytes ?? mebibytes(512), gas: 10n ** 13n },
    loadModule: async () => bytes,
  }
}

/** Message number `nonce` of a Process, as a CU would hand it over. */
export function messageOf(
  process: ProcessId,
  nonce: number,
  { tags = {}, ...fields }: { tags?: Readonly<Record<string, string>>; data?: string; from?: string } = {},
): VmMessage {
  const owner = ownerOf(process)
  return {
    Id: idOf(`message ${nonce} of ${process}`),
    Target: process,
    Owner: owner,
    From: fields.from ?? owner,
    Data: fields.data ?? '',
    Tags: tagsOf(tags) as unknown as Json,
    Module: idOf('module'),
    'Block-Height': 1_000_000 + nonce,
    Timestamp: 1_700_000_000_000 + nonce * 1000,
    Nonce: nonce,
    Epoch: 0,
    'Hash-Chain': idOf(`chain ${nonce}`),
    Cron: false,
    'Read-Only': false,
  }
}

/** Nonce 0: the Process itself. */
export function spawnOf(process: ProcessId): VmMessage {
  const { Tags } = environmentOf(process).Process
  return { ...messageOf(process, 0), Id: process, Tags: Tags as unknown as Json }
}

export const evalOf = (process: ProcessId, nonce: number, data: string): VmMessage =>
  messageOf(process, nonce, { tags: { Action: 'Eval' }, data })

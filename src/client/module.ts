import type { AbortOptions } from '../lib/abort.ts'
import type { ArweaveClient } from '../ports/settlement.ts'
import type { Id, ModuleId } from '../protocol/ids.ts'
import type { Signer } from '../protocol/keys.ts'
import { parseModuleSpec } from '../protocol/message.ts'
import { type Tag, tagsOf } from '../protocol/tags.ts'
import { randomAnchor } from './client.ts'

export interface ModuleOptions {
  readonly bytes: Uint8Array
  /** Module-Format, such as `wasm32-unknown-emscripten4`, `ao-abi-1` or `js-quickjs-1`. */
  readonly format: string
  readonly name?: string | undefined
  /** Like `512-mb`. */
  readonly memoryLimit?: string
  /** Gas units. */
  readonly computeLimit?: string
  readonly tags?: readonly Tag[]
}

/**
 * Signs a Module item and hands it to Arweave's bundler.
 *
 * @throws AoError `INVALID_DATA_ITEM` for limits that no CU can read; `SETTLEMENT_FAILED` | `PEER_UNREACHABLE`
 */
export async function publishModule(
  module: ModuleOptions,
  { arweave, signer }: { readonly arweave: ArweaveClient; readonly signer: Signer },
  options: AbortOptions = {},
): Promise<ModuleId> {
  const tags = [
    ...tagsOf(
      ['Data-Protocol', 'ao'],
      ['Variant', 'ao.TN.1'],
      ['Type', 'Module'],
      ['Module-Format', module.format],
      ['Input-Encoding', 'JSON-1'],
      ['Output-Encoding', 'JSON-1'],
      ['Memory-Limit', module.memoryLimit ?? '512-mb'],
      ['Compute-Limit', module.computeLimit ?? '500000000000'],
      ['Content-Type', module.format.startsWith('js-') ? 'text/javascript' : 'application/wasm'],
      ['Name', module.name],
    ),
    ...(module.tags ?? []),
  ]
  const item = await signer.sign({ anchor: randomAnchor(), tags, data: module.bytes })
  parseModuleSpec(item)
  await arweave.upload(item, options)
  return item.id as Id as ModuleId
}

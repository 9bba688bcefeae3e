import type { DataItem } from '../../../src/protocol/data-item.ts'
import { tagsOf } from '../../../src/protocol/tags.ts'
import { type AosModule, type AosName, loadAosModule } from '../../../src/testnet/aos-module.ts'
import { anItem } from '../builders.ts'

/** The real aos Module, from the cache or from npm; a test that needs it fails with the reason if it cannot be had. */
export async function aosModule(name: AosName = 'aos2_0_4_32'): Promise<AosModule> {
  const said: string[] = []
  const module = await loadAosModule(text => said.push(text), { name })
  if (module === undefined) throw new Error(`these tests need the aos module: ${said.join('; ')}`)
  return module
}

/** aos as a published Module. */
export async function aosModuleItem(): Promise<DataItem> {
  const { bytes, format } = await aosModule()
  return anItem({
    data: bytes,
    tags: tagsOf(
      ['Data-Protocol', 'ao'],
      ['Type', 'Module'],
      ['Variant', 'ao.TN.1'],
      ['Module-Format', format],
      ['Input-Encoding', 'JSON-V1'],
      ['Output-Encoding', 'JSON-V1'],
      ['Memory-Limit', '500-mb'],
      ['Compute-Limit', '9000000000000'],
    ),
  })
}

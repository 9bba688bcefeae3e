import { readFile } from 'node:fs/promises'
import { originBundleFile, originFormat } from '../../../src/modules/ao-sec-origin/module.ts'
import type { DataItem } from '../../../src/protocol/data-item.ts'
import { testnetEconomy } from '../../../src/protocol/economy-params.ts'
import type { Id, ModuleId } from '../../../src/protocol/ids.ts'
import { tagsOf } from '../../../src/protocol/tags.ts'
import { aMessage, anItem, aProcess, testSigner } from '../../../test/support/builders.ts'
import { aosModuleItem } from '../../../test/support/modules/aos.ts'
import { tokenLua } from './aos-load.ts'
import type { Ledger } from './ledger-rate.ts'

/** Transfers of a holder who has plenty, to twenty others in turn. */
const transfersOf = (process: DataItem, count: number): Promise<DataItem[]> =>
  Promise.all(
    Array.from({ length: count }, (_, i) => {
      const Recipient = testSigner(`account ${i % 20}`).address
      const tags = tagsOf(['Action', 'Transfer'], ['Recipient', Recipient], ['Quantity', String(i + 1)])
      return aMessage(process, { tags, anchor: `transfer ${i}`.padEnd(32, '.'), data: '' })
    }),
  )

/** AO-Sec Origin in QuickJS. */
export async function originLedger(count: number): Promise<Ledger> {
  const tags = [
    ...tagsOf(['Data-Protocol', 'ao'], ['Type', 'Module'], ['Variant', 'ao.TN.1'], ['Module-Format', originFormat]),
    ...tagsOf(['Input-Encoding', 'JSON-1'], ['Output-Encoding', 'JSON-1']),
    ...tagsOf(['Memory-Limit', '256-mb'], ['Compute-Limit', '90000000000']),
  ]
  const module = await anItem({ data: await readFile(originBundleFile), tags })
  const holder = testSigner().address
  const holdings = [{ resource: 'AR', class: 'ar', weight: '1', holder, quantity: '1' }]
  const data = JSON.stringify({ ...testnetEconomy, holdings })
  const process = await aProcess({ module: module.id as Id as ModuleId, data })
  const opening = [await aMessage(process, { tags: tagsOf(['Action', 'Mint']) })]
  return { module, process, opening, transfers: await transfersOf(process, count) }
}

/** The same ledger as handlers of aos, in Lua. */
export async function aosLedger(count: number): Promise<Ledger> {
  const module = await aosModuleItem()
  const process = await aProcess({ module: module.id as Id as ModuleId })
  const data = tokenLua(testSigner().address)
  const opening = [await aMessage(process, { data, tags: tagsOf(['Action', 'Eval']) })]
  return { module, process, opening, transfers: await transfersOf(process, count) }
}

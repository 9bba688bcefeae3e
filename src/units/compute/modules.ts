import { LRUCache } from 'lru-cache'
import { AoError } from '../../lib/errors.ts'
import { SingleFlight } from '../../lib/single-flight.ts'
import type { ArweaveClient } from '../../ports/settlement.ts'
import { type DataItem, verifyDataItem } from '../../protocol/data-item.ts'
import type { Id, ModuleId } from '../../protocol/ids.ts'
import { type ModuleSpec, parseModuleSpec } from '../../protocol/message.ts'

export interface Module {
  readonly item: DataItem
  readonly spec: ModuleSpec
}

/** Modules by id, from Arweave: checked once, then kept, at most `maxModules` of them. */
export class Modules {
  readonly #arweave: ArweaveClient
  readonly #kept: LRUCache<ModuleId, Module>
  readonly #flights = new SingleFlight<ModuleId, Module>()

  constructor(arweave: ArweaveClient, { maxModules }: { readonly maxModules: number }) {
    this.#arweave = arweave
    this.#kept = new LRUCache({ max: maxModules })
  }

  /** @throws AoError `UNKNOWN_MODULE` | `UNSUPPORTED_MODULE` if the item is no Module */
  async get(id: ModuleId): Promise<Module> {
    return this.#kept.get(id) ?? this.#flights.run(id, () => this.#load(id))
  }

  async #load(id: ModuleId): Promise<Module> {
    const found = await this.#arweave.item(id)
    if (found === undefined) {
      throw new AoError(
        'UNKNOWN_MODULE',
        'the Module is not on Arweave',
        { module: id },
        { hint: 'Publish it (aonet module publish), or spawn with a Module that is there.' },
      )
    }
    const module = await checked(id, found)
    this.#kept.set(id, module)
    return module
  }
}

async function checked(id: ModuleId, found: DataItem): Promise<Module> {
  try {
    const item = await verifyDataItem(found.raw, { maxBytes: found.raw.length })
    if ((item.id as Id) !== (id as Id)) throw new AoError('INVALID_DATA_ITEM', 'the gateway sent another item')
    return { item, spec: parseModuleSpec(item) }
  } catch (cause) {
    const reason = AoError.from(cause).message
    throw new AoError('UNSUPPORTED_MODULE', `this item cannot be a Module: ${reason}`, { module: id }, { cause })
  }
}

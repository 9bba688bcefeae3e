import type { AbortOptions } from '../../lib/abort.ts'
import { withDeadline } from '../../lib/abort.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import type { PeerDirectory } from '../../ports/peers.ts'
import type { ArweaveClient, BundleIndex } from '../../ports/settlement.ts'
import type { NonceRange, RemoteUnits } from '../../ports/units.ts'
import { parseAssignment, type ScheduledMessage } from '../../protocol/assignment.ts'
import type { DataItem } from '../../protocol/data-item.ts'
import type { Address, Id, Nonce, ProcessId } from '../../protocol/ids.ts'
import { hasTag, tagsOf } from '../../protocol/tags.ts'
import { failureFacts } from '../failure.ts'
import { type FoundRow, LogTree } from './log-tree.ts'
import { readableItems } from './readable-items.ts'

export interface LogCollectorDeps {
  readonly address: Address
  readonly arweave: ArweaveClient & BundleIndex
  readonly directory: PeerDirectory
  readonly remote: RemoteUnits
  /** What this node itself has. */
  readonly kept: (process: ProcessId, range: NonceRange) => AsyncIterable<ScheduledMessage>
  readonly telemetry: Telemetry
}
export interface LogCollectorOptions {
  /** Rows of one log, and their bytes: a longer one is not taken over. */
  readonly maxRows: number
  readonly maxBytes: number
  /** Nodes that are asked. */
  readonly maxPeers: number
  readonly peerTimeoutMs: number
  /** Confirmations after which what is on Arweave stays there. */
  readonly settlementDepth: number
}
export const defaultLogCollectorOptions: LogCollectorOptions = {
  maxRows: 250_000,
  maxBytes: 512 * 1024 * 1024,
  maxPeers: 16,
  peerTimeoutMs: 60_000,
  settlementDepth: 10,
}

/**
 * Brings the log of a Process together that another SU began: from Arweave, from this node, from the SU itself while it
 * answers, and from the CUs that evaluated it. None of them is believed about more than what is signed.
 */
export class LogCollector {
  readonly #deps: LogCollectorDeps
  readonly #options: LogCollectorOptions

  constructor(deps: LogCollectorDeps, options: LogCollectorOptions = defaultLogCollectorOptions) {
    this.#deps = deps
    this.#options = options
  }

  /**
   * @param from where the sources may differ: what is before is asked for only where it is missing.
   * @throws AoError `PEER_UNREACHABLE` if Arweave cannot be asked.
   */
  async collect(
    process: ProcessId,
    { from, ...options }: AbortOptions & { readonly from?: number | undefined },
  ): Promise<LogTree> {
    const tree = new LogTree(process)
    await this.#fromArweave(process, tree, options)
    const next = (): Nonce => Math.min(from ?? Number.MAX_SAFE_INTEGER, tree.longest().length) as Nonce
    await this.#take(this.#deps.kept(process, { from: next() }), tree)
    for (const record of this.#peers()) {
      const signal = withDeadline(this.#options.peerTimeoutMs, options)
      try {
        const rows = this.#deps.remote.scheduler(record).read(process, { from: next(), kept: true }, { signal })
        await this.#take(rows, tree)
      } catch (error) {
        this.#deps.telemetry.log.debug('log-not-shown', { process, unit: record.address, ...failureFacts(error) })
      }
    }
    return tree
  }

  /** A row whose message nobody has cannot be served: the log ends before it. */
  async withMessages(rows: readonly FoundRow[], options: AbortOptions): Promise<readonly FoundRow[]> {
    const whole: FoundRow[] = []
    for (const row of rows) {
      if (row.message !== undefined) {
        whole.push(row)
        continue
      }
      const id = row.assignment.message as Id
      const item = await this.#deps.arweave.item(id, options)
      if (item === undefined && (await this.#deps.arweave.transaction(id, options)) === undefined) return whole
      const isOwn = item !== undefined && (item.target === row.assignment.process || row.assignment.nonce === 0)
      whole.push({ ...row, message: isOwn ? item : undefined })
    }
    return whole
  }

  #peers() {
    const { directory, address } = this.#deps
    const others = directory.all().filter(({ roles }) => roles.includes('SU') || roles.includes('CU'))
    return others.filter(record => record.address !== address).slice(0, this.#options.maxPeers)
  }

  async #take(rows: AsyncIterable<ScheduledMessage>, tree: LogTree): Promise<void> {
    for await (const row of rows) {
      tree.add({ ...row, settled: false })
      if (tree.size > this.#options.maxRows || tree.bytes > this.#options.maxBytes) return
    }
  }

  async #fromArweave(process: ProcessId, tree: LogTree, options: AbortOptions): Promise<void> {
    const { arweave } = this.#deps
    for (const id of await arweave.bundlesWith(tagsOf(['Process', process], ['Type', 'Assignment']), options)) {
      const bytes = await arweave.data(id, options)
      if (bytes === undefined) continue
      const status = await arweave.status(id, options)
      const settled = typeof status === 'object' && status.confirmations >= this.#options.settlementDepth
      addBundle(process, await readableItems(bytes), { tree, settled })
      if (tree.size > this.#options.maxRows || tree.bytes > this.#options.maxBytes) return
    }
  }
}

function addBundle(
  process: ProcessId,
  items: readonly DataItem[],
  { tree, settled }: { readonly tree: LogTree; readonly settled: boolean },
): void {
  const messages = new Map(items.map(item => [item.id as string, item]))
  for (const item of items) {
    if (!hasTag(item.tags, 'Type', 'Assignment') || !hasTag(item.tags, 'Process', process)) continue
    try {
      const assignment = parseAssignment(item)
      tree.add({ assignment, message: messages.get(assignment.message), settled })
    } catch {} // not an Assignment after all
  }
}

import type { AbortOptions } from '../../src/lib/abort.ts'
import { raceSignal } from '../../src/lib/abort.ts'
import { AoError } from '../../src/lib/errors.ts'
import type { PeerDirectory } from '../../src/ports/peers.ts'
import type { Compute, LocalUnits, Messenger, RemoteUnits, Scheduler } from '../../src/ports/units.ts'
import type { Address } from '../../src/protocol/ids.ts'
import type { UnitRecord, UnitRole } from '../../src/protocol/unit-record.ts'

/** A unit record without an item around it: enough for whoever asks what is offered where. */
export const aRecord = (address: Address, roles: readonly UnitRole[], formats: readonly string[] = []): UnitRecord => ({
  address,
  roles,
  formats,
  peer: `peer of ${address}`,
  multiaddrs: [],
  grpc: '127.0.0.1:1',
  certificate: new Uint8Array(0),
  network: 'test',
  issuedAt: 0,
  expiresAt: Number.MAX_SAFE_INTEGER,
  raw: new Uint8Array(0),
})

/** Units of one program that find each other by address: a PeerDirectory and its RemoteUnits, without a network. */
export class MemoryNetwork implements PeerDirectory, RemoteUnits {
  readonly #records = new Map<Address, UnitRecord>()
  readonly #units = new Map<Address, Omit<LocalUnits, 'address'>>()
  readonly #waiting = new Map<Address, ((record: UnitRecord) => void)[]>()
  readonly reports: { readonly address: Address; readonly outcome: 'ok' | 'failed' }[] = []
  /** Calls to these units fail as those to a node that is down. */
  readonly down = new Set<Address>()

  join(record: UnitRecord, units: Omit<LocalUnits, 'address'> = {}): void {
    this.#records.set(record.address, record)
    this.#units.set(record.address, units)
    for (const resolve of this.#waiting.get(record.address) ?? []) resolve(record)
  }

  leave(address: Address): void {
    this.#records.delete(address)
  }

  find(role: UnitRole): readonly UnitRecord[] {
    return [...this.#records.values()].filter(({ roles }) => roles.includes(role))
  }

  get(address: Address): UnitRecord | undefined {
    return this.#records.get(address)
  }

  all(): readonly UnitRecord[] {
    return [...this.#records.values()]
  }

  report(address: Address, outcome: 'ok' | 'failed'): void {
    this.reports.push({ address, outcome })
  }

  async waitFor(address: Address, options: AbortOptions = {}): Promise<UnitRecord> {
    const known = this.#records.get(address)
    if (known !== undefined) return known
    const joined = new Promise<UnitRecord>(resolve => {
      this.#waiting.set(address, [...(this.#waiting.get(address) ?? []), resolve])
    })
    return raceSignal(joined, options)
  }

  scheduler({ address }: UnitRecord): Scheduler {
    const unit = (): Scheduler => this.#unit(address, 'scheduler')
    const assertUp = (): void => this.#assertUp(address)
    return {
      schedule: async (message, options) => unit().schedule(message, options),
      assign: async (request, options) => unit().assign(request, options),
      clock: async (process, options) => unit().clock(process, options),
      assignment: async (process, at, options) => unit().assignment(process, at, options),
      process: async (process, options) => unit().process(process, options),
      async *read(process, range, options) {
        for await (const row of unit().read(process, range, options)) {
          assertUp()
          yield row
        }
      },
    }
  }

  compute({ address }: UnitRecord): Compute {
    const unit = (): Compute => this.#unit(address, 'compute')
    return {
      result: async (process, at, options) => unit().result(process, at, options),
      results: async (process, query, options) => unit().results(process, query, options),
      memory: async (process, options) => unit().memory(process, options),
      dryRun: async (process, message, options) => unit().dryRun(process, message, options),
    }
  }

  messenger({ address }: UnitRecord): Messenger {
    const unit = (): Messenger => this.#unit(address, 'messenger')
    return {
      submit: async (bytes, options) => unit().submit(bytes, options),
      promise: async (bytes, options) => unit().promise(bytes, options),
      assign: async (request, options) => unit().assign(request, options),
      monitor: async (process, options) => unit().monitor(process, options),
      unmonitor: async (process, options) => unit().unmonitor(process, options),
      crank: async (process, message, options) => unit().crank(process, message, options),
      async *follow(process, message, options) {
        yield* unit().follow(process, message, options)
      },
    }
  }

  #unit<K extends 'scheduler' | 'compute' | 'messenger'>(address: Address, role: K): NonNullable<LocalUnits[K]> {
    this.#assertUp(address)
    const unit = this.#units.get(address)?.[role]
    if (unit === undefined) throw new AoError('PEER_UNREACHABLE', 'no such unit there', { address })
    return unit
  }

  #assertUp(address: Address): void {
    if (this.down.has(address)) throw new AoError('PEER_UNREACHABLE', 'the unit is down', { address })
  }
}

import assert from 'node:assert/strict'
import { epochsOf, type HostEpoch, judgePlace, type PlaceVerdict } from '../../src/economy/host-epochs.ts'
import { hostOf } from '../../src/economy/hosts.ts'
import { type Standing, standingOf } from '../../src/economy/operators.ts'
import { oneAo } from '../../src/economy/quantity.ts'
import { silentTelemetry } from '../../src/lib/telemetry.ts'
import { Origin } from '../../src/modules/ao-sec-origin/origin.ts'
import type { Hosting, HostTable } from '../../src/ports/hosts.ts'
import type { Assignment } from '../../src/protocol/assignment.ts'
import { type DataItem, verifyDataItem } from '../../src/protocol/data-item.ts'
import type { Address, ProcessId } from '../../src/protocol/ids.ts'
import type { UnitRole } from '../../src/protocol/unit-record.ts'
import { OriginMail } from '../../src/units/economy/origin-mail.ts'
import { testSigner } from './builders.ts'
import { TestClock } from './eventually.ts'
import { OriginMessages, originEnvironment } from './origin.ts'
import type { UnitNetwork } from './unit-network.ts'

/** AO-Sec Origin, evaluated at once, and units that talk to it. */
export class Court implements HostTable {
  readonly mail = new OriginMessages()
  readonly process = new Origin()
  readonly actions: string[] = []
  /** Of the last challenge: what its signed item carries. */
  brought: DataItem | undefined
  readonly #clock = new TestClock()

  constructor() {
    this.process.handle(this.mail.spawn(), originEnvironment)
    this.act('faucet', 'Mint')
    for (const name of ['challenger', 'mu']) {
      const Recipient = testSigner(name).address
      this.act('faucet', 'Transfer', { Recipient, Quantity: String(20n * oneAo) })
    }
  }

  get state() {
    return this.process.state ?? assert.fail('no state')
  }

  act(...given: Parameters<OriginMessages['next']>): void {
    this.process.handle(this.mail.next(...given), originEnvironment)
  }

  /** The verdicts so far, by kind. */
  get verdicts(): readonly string[] {
    return [...this.state.verdicts.entries()].map(([, { kind }]) => kind)
  }

  /** Nobody has anything more to say: what is due happens. */
  pass(blocks: number): void {
    this.mail.height += blocks
    this.act('faucet', 'Execute-Slash')
  }

  mailOf(name: string, arweave: UnitNetwork['arweave']): OriginMail {
    const submit = async (bytes: Uint8Array): Promise<never> => {
      const { tags, data } = await verifyDataItem(bytes)
      const fields = Object.fromEntries(tags.map(({ name: key, value }) => [key, value]))
      this.actions.push(fields['Action'] ?? '')
      this.act(name, fields['Action'] ?? '', fields, Buffer.from(data).toString())
      return undefined as never
    }
    const deps = { signer: testSigner(name), clock: this.#clock, messenger: { submit }, arweave }
    return new OriginMail({ ...deps, telemetry: silentTelemetry })
  }

  standing(role: UnitRole, unit: Address): Standing {
    return standingOf(this.state, role, unit)
  }

  hostOf(process: ProcessId, first: Address): Hosting | undefined {
    return hostOf(this.state, process, first)
  }

  epochsOf(process: ProcessId, first: Address): readonly HostEpoch[] {
    return epochsOf(this.state.hosts.get(process), first)
  }

  newestEpoch(process: ProcessId): number {
    return this.state.hosts.get(process)?.epoch ?? 0
  }

  rehosted(): readonly ProcessId[] {
    return [...this.state.hosts.entries()]
      .filter(([, { phase, epoch }]) => phase === 'hosted' && epoch > 0)
      .map(([process]) => process as ProcessId)
  }

  judge(assignment: Assignment, first: Address): PlaceVerdict {
    return judgePlace(this.epochsOf(assignment.process, first), assignment)
  }
}

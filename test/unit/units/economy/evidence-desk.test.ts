import assert from 'node:assert/strict'
import { MemoryArweave } from '../../../../src/arweave/memory-arweave.ts'
import { oneAo } from '../../../../src/economy/quantity.ts'
import { silentTelemetry } from '../../../../src/lib/telemetry.ts'
import { Origin } from '../../../../src/modules/ao-sec-origin/origin.ts'
import { draftAssignment, parseAssignment } from '../../../../src/protocol/assignment.ts'
import { verifyDataItem } from '../../../../src/protocol/data-item.ts'
import { type Evidence, evidenceDigest, findFault } from '../../../../src/protocol/evidence.ts'
import type { Id, MessageId } from '../../../../src/protocol/ids.ts'
import { DiskEvidenceFiles } from '../../../../src/storage/disk-evidence-files.ts'
import { EvidenceDesk } from '../../../../src/units/economy/evidence-desk.ts'
import { OriginMail } from '../../../../src/units/economy/origin-mail.ts'
import { anId, aProcess, schedule, testSigner, withTempDir } from '../../../support/builders.ts'
import { TestClock } from '../../../support/eventually.ts'
import { OriginMessages, originEnvironment, originId, originParams } from '../../../support/origin.ts'

describe('units/economy: the evidence desk', () => {
  const reporter = testSigner('reporter')

  async function aFault(): Promise<Evidence> {
    const [first] = await schedule(await aProcess())
    const { assignment } = first ?? assert.fail()
    const other = { ...assignment, nonce: 1 as never, message: anId<MessageId>('a') }
    const sign = async (message: string) =>
      parseAssignment(await testSigner('su').sign(draftAssignment({ ...other, message: anId<MessageId>(message) })))
    return findFault(await sign('a'), await sign('b')) ?? assert.fail('no fault')
  }

  /** A court that evaluates at once what reaches it. */
  class Court {
    readonly mail = new OriginMessages()
    readonly process = new Origin()
    readonly actions: string[] = []
    readonly clock = new TestClock()

    constructor() {
      this.process.handle(this.mail.spawn(), originEnvironment)
      this.act('faucet', 'Mint')
      this.act('faucet', 'Transfer', { Recipient: reporter.address, Quantity: String(20n * oneAo) })
    }

    act(...given: Parameters<OriginMessages['next']>): void {
      this.process.handle(this.mail.next(...given), originEnvironment)
    }

    desk(directory: string): EvidenceDesk {
      const submit = async (bytes: Uint8Array): Promise<never> => {
        const { tags, data } = await verifyDataItem(bytes)
        const fields = Object.fromEntries(tags.map(({ name, value }) => [name, value]))
        this.actions.push(fields['Action'] ?? '')
        this.act('reporter', fields['Action'] ?? '', fields, Buffer.from(data).toString())
        return undefined as never
      }
      const court = {
        origin: originId,
        state: () => this.process.state,
        height: async () => this.mail.height,
        isPublished: async () => false,
      }
      const files = new DiskEvidenceFiles(directory)
      return new EvidenceDesk({
        signer: reporter,
        files,
        mail: new OriginMail({
          ...{ signer: reporter, clock: this.clock, messenger: { submit }, arweave: new MemoryArweave() },
          telemetry: silentTelemetry,
        }),
        telemetry: silentTelemetry,
        court,
      })
    }
  }

  it('commits, waits and shows, over a restart, and asks no more once there is a verdict', async () => {
    await withTempDir(async directory => {
      const [court, evidence] = [new Court(), await aFault()]
      const state = () => court.process.state ?? assert.fail('no state')
      const before = court.desk(directory)
      await before.file(evidence)
      await before.tick()
      assert.deepEqual(court.actions, ['Commit-Evidence'])
      await before.tick() // too young: refused, which costs nothing
      const digest: Id = evidenceDigest(evidence)
      assert.equal(state().verdicts.has(digest), false)

      court.mail.height += originParams.commitMinBlocks + 1
      const after = court.desk(directory)
      await after.start()
      await after.tick()
      await after.stop()
      assert.equal(state().verdicts.get(digest)?.reporter, reporter.address)
      assert.equal(state().commits.size, 0, 'the same commitment was opened')
      const balance = state().balances.get(reporter.address)
      assert.equal(balance, 20n * oneAo, 'the bond is back')

      court.mail.height += originParams.slashDelayBlocks + 8
      court.act('faucet', 'Mint')
      const sent = court.actions.length
      await after.tick()
      await after.tick()
      assert.deepEqual(court.actions.slice(sent), [], 'nothing is left to do')
    })
  })

  it('keeps every file where anybody can check it, and passes over what is no evidence', async () => {
    await withTempDir(async directory => {
      const { writeFile } = await import('node:fs/promises')
      const evidence = await aFault()
      await new Court().desk(directory).file(evidence)
      await writeFile(`${directory}/junk.evidence`, 'junk')
      const [found, ...more] = await new DiskEvidenceFiles(directory).all()
      assert.equal(evidenceDigest(found ?? assert.fail('it is lost')), evidenceDigest(evidence))
      assert.deepEqual(more, [])
    })
  })
})

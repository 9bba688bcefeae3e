import assert from 'node:assert/strict'
import { utf8 } from '../../../../src/lib/bytes.ts'
import { AoError } from '../../../../src/lib/errors.ts'
import { silentTelemetry } from '../../../../src/lib/telemetry.ts'
import type { Assignment } from '../../../../src/protocol/assignment.ts'
import { packBundle } from '../../../../src/protocol/bundle.ts'
import type { DataItem } from '../../../../src/protocol/data-item.ts'
import type { Id, ProcessId } from '../../../../src/protocol/ids.ts'
import { Accuser } from '../../../../src/units/economy/accuser.ts'
import { Respondent } from '../../../../src/units/economy/respondent.ts'
import { schedulerAnswers } from '../../../../src/units/economy/scheduler-answers.ts'
import { aMessage, anItem, processIdOf, testSigner } from '../../../support/builders.ts'
import { Court } from '../../../support/court.ts'
import { dataOf, originId, originParams } from '../../../support/origin.ts'
import { recorder } from '../../../support/script-vm.ts'
import { UnitNetwork, type UnitNode } from '../../../support/unit-network.ts'

describe('units/economy: challenges', () => {
  let net: UnitNetwork
  let su: UnitNode
  let mu: UnitNode
  let court: Court
  let item: DataItem
  let process: ProcessId

  beforeEach(async () => {
    net = new UnitNetwork({ recorder })
    su = await net.node('su', ['SU'])
    mu = await net.node('mu', ['MU'])
    item = await net.spawn(mu, 'recorder', { scheduler: su.address })
    process = processIdOf(item)
    court = new Court()
  })
  afterEach(() => net.stop())

  const respondent = (): Respondent =>
    new Respondent({
      ...{ address: su.address, origin: originId, economy: court, telemetry: silentTelemetry },
      mail: court.mailOf('su', net.arweave),
      answers: schedulerAnswers({
        log: su.disk.log,
        scheduler: su.su ?? assert.fail('no SU'),
        item: async () => court.brought,
      }),
    })

  /** Somebody asks the SU, and it is time to publish what it has ordered. */
  async function challenge(kind: 'F2' | 'F3', about: Uint8Array): Promise<void> {
    court.mail.height = 1_000_000_000 // far beyond the blocks of these Assignments
    const proof = [about, item.raw]
    const fields = { Kind: kind, Accused: su.address }
    const data = dataOf(...proof)
    court.brought = await anItem({ data: utf8(data), tags: [] }, testSigner('challenger'))
    court.act('challenger', 'Challenge', fields, data)
    assert.equal(court.state.challenges.size, 1, 'it is asked')
  }

  const send = async (data: string): Promise<Assignment> => mu.messenger.submit((await aMessage(process, { data })).raw)

  it('are answered by an honest SU with what it has ordered, also where that is large', async () => {
    for (const data of ['small', 'x'.repeat(200_000)]) {
      await challenge('F2', (await send(data)).raw)
      await respondent().tick()
      assert.equal(court.state.challenges.size, 0, 'it is answered')
    }
    court.pass(originParams.responseBlocks + originParams.slashDelayBlocks + 1)
    assert.deepEqual(court.verdicts, [])
  })

  it('are answered by ordering what was left out, once', async () => {
    const message = await aMessage(process, { data: 'left out' })
    await challenge('F3', message.raw)
    const one = respondent()
    await one.tick()
    await one.tick()
    assert.equal(court.state.challenges.size, 0)
    assert.deepEqual(court.actions, ['Respond'])
    assert.equal((await su.disk.log.find(process, message.id))?.scheduler, su.address)
    court.pass(originParams.responseBlocks + 1)
    assert.deepEqual(court.verdicts, [])
  })

  it('find an SU guilty that does not answer, and take its Process', async () => {
    await challenge('F2', (await send('unseen')).raw)
    court.pass(originParams.responseBlocks + 1)
    assert.deepEqual(court.verdicts, ['F2'])
    assert.equal(court.state.hosts.get(process)?.phase, 'bidding')
  })

  describe('by nodes themselves', () => {
    const accuser = (): Accuser =>
      new Accuser({
        ...{ address: mu.address, origin: originId, arweave: net.arweave, telemetry: silentTelemetry },
        economy: { state: court.state, hostOf: (_, first) => ({ scheduler: first, epoch: 0 }) },
        routes: { process: async () => ({ item, spec: { scheduler: su.address } as never }) },
        scheduler: mu.scheduler,
        mail: court.mailOf('mu', net.arweave),
      })
    const mine = (blocks: number): void => {
      for (let i = 0; i < blocks; i++) net.arweave.mine()
    }

    it('ask for what an SU has told and not published, and not for what lies on Arweave', async () => {
      const { publicationBlocks } = originParams
      const [told, published] = [await send('told'), accuser()]
      const arweave = { head: () => net.arweave.head(), item: async () => undefined }
      const missing = new Accuser({
        ...{ address: mu.address, origin: originId, arweave, telemetry: silentTelemetry },
        economy: { state: court.state, hostOf: (_, first) => ({ scheduler: first, epoch: 0 }) },
        routes: { process: async () => ({ item, spec: { scheduler: su.address } as never }) },
        scheduler: mu.scheduler,
        mail: court.mailOf('mu', net.arweave),
      })
      missing.onAssignment(told)
      published.onAssignment(told)
      court.mail.height = 1_000_000_000
      await missing.tick()
      assert.deepEqual(court.actions, [], 'it has time of its own')
      const bundle = packBundle([{ id: told.id as string as DataItem['id'], raw: told.raw }])
      await net.arweave.post(await net.arweave.prepare(bundle))
      mine(publicationBlocks + 20)
      await published.tick()
      assert.deepEqual(court.actions, [])
      await missing.tick()
      await missing.tick()
      assert.deepEqual(court.actions, ['Challenge'], 'once')
      const [row] = [...court.state.challenges.entries()].map(([, one]) => one)
      assert.deepEqual([row?.kind, row?.accused, row?.process], ['F2', su.address, process])
    })

    it('ask for what an SU does not order, and let go of what it orders after all', async () => {
      const refusing = new AoError('OVERLOADED', 'no')
      const one = accuser()
      const message = await aMessage(process, { data: 'refused' })
      one.onRefused(message, new AoError('INVALID_DATA_ITEM', 'its own fault'))
      one.onRefused(message, refusing)
      await one.tick() // the SU takes it now
      assert.equal((await su.disk.log.find(process, message.id as Id as never))?.scheduler, su.address)
      const other = await aMessage(process, { data: 'refused again' })
      const never = new Accuser({
        ...{ address: mu.address, origin: originId, arweave: net.arweave, telemetry: silentTelemetry },
        economy: { state: court.state, hostOf: (_, first) => ({ scheduler: first, epoch: 0 }) },
        routes: { process: async () => ({ item, spec: { scheduler: su.address } as never }) },
        scheduler: { schedule: () => Promise.reject(refusing) },
        mail: court.mailOf('mu', net.arweave),
      })
      never.onRefused(other, refusing)
      await never.tick()
      const { height } = await net.arweave.head()
      mine(Math.max(0, court.state.clock.value.height - height) + originParams.responseBlocks + 10)
      await never.tick()
      assert.deepEqual(court.actions, ['Challenge'])
      const [row] = [...court.state.challenges.entries()].map(([, found]) => found)
      assert.deepEqual([row?.kind, row?.message], ['F3', other.id])
    })
  })
})

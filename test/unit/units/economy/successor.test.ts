import assert from 'node:assert/strict'
import { oneAo } from '../../../../src/economy/quantity.ts'
import { utf8 } from '../../../../src/lib/bytes.ts'
import { silentTelemetry } from '../../../../src/lib/telemetry.ts'
import { type Assignment, draftAssignment, parseAssignment } from '../../../../src/protocol/assignment.ts'
import { findFault } from '../../../../src/protocol/evidence.ts'
import type { Id, MessageId, Nonce, ProcessId } from '../../../../src/protocol/ids.ts'
import { parseProcessSpec } from '../../../../src/protocol/message.ts'
import { LogCollector } from '../../../../src/units/economy/log-collector.ts'
import { Orphans } from '../../../../src/units/economy/orphans.ts'
import { Successor } from '../../../../src/units/economy/successor.ts'
import { aMessage, anId, anItem, processIdOf, testSigner } from '../../../support/builders.ts'
import { Court } from '../../../support/court.ts'
import { accusation, addressOf, dataOf, originId, originParams } from '../../../support/origin.ts'
import { recorder } from '../../../support/script-vm.ts'
import { UnitNetwork } from '../../../support/unit-network.ts'

describe('units/economy: an SU that carries on the Process of a guilty one', () => {
  it('bids with the whole log, wins, takes it over and goes on, with nothing of the old SU but what a CU kept', async () => {
    const court = new Court()
    const net = new UnitNetwork({ recorder }, court)
    try {
      const su = await net.node('su', ['SU'])
      const heir = await net.node('su2', ['SU'])
      const cu = await net.node('cu', ['CU'])
      const mu = await net.node('mu', ['MU'])
      const item = await net.spawn(mu, 'recorder', { scheduler: su.address })
      const process: ProcessId = processIdOf(item)
      const send = async (data: string): Promise<Assignment> =>
        mu.messenger.submit((await aMessage(process, { data })).raw)
      const sent = [await send('one'), await send('two'), await send('three')]
      await cu.compute.result(process, 3 as Nonce)

      // The heir is staked.
      const owner = addressOf('heirs-owner')
      court.act('faucet', 'Transfer', { Recipient: owner, Quantity: String(2000n * oneAo) })
      court.act('heirs-owner', 'Stake', { Role: 'SU', Operator: heir.address, Quantity: String(1000n * oneAo) })
      court.act('su2', 'Register-Operator', { Role: 'SU', 'Owner-Account': owner })
      court.pass(10)

      const { network: directory, arweave } = net
      const collecting = { address: heir.address, arweave, directory, remote: directory, kept: heir.kept }
      const successor = new Successor({
        ...{ address: heir.address, origin: originId, telemetry: silentTelemetry },
        economy: {
          state: court.state,
          standing: (role, unit) => court.standing(role, unit),
          hostOf: (id, first) => court.hostOf(id, first),
          epochsOf: (id, first) => court.epochsOf(id, first),
          waiting: [],
        },
        scheduler: heir.su ?? assert.fail(),
        routes: { process: async () => ({ item, spec: parseProcessSpec(item.tags) }) },
        orphans: new Orphans({ arweave, recall: () => sent }),
        collector: new LogCollector({ ...collecting, telemetry: silentTelemetry }),
        mail: court.mailOf('su2', arweave),
        item: async (id: Id) =>
          (id as string) === challenge ? anItem({ data: utf8(asked), tags: [] }) : arweave.item(id),
      })
      await successor.tick()
      assert.deepEqual(court.actions, [], 'there is nothing to carry on')

      // Somebody asks the old SU for a message that it does not order.
      const leftOut = await aMessage(process, { data: 'left out' })
      const asked = dataOf(leftOut.raw, item.raw)
      court.act('challenger', 'Challenge', { Kind: 'F3', Accused: su.address }, asked)
      const [challenge] = court.state.challenges.keysInOrder()

      // The old SU signed another message for nonce 2, and its own log is the branch that counts.
      const second = sent[1] ?? assert.fail()
      const fields = { ...second, message: anId<MessageId>('another') }
      const other = parseAssignment(await testSigner('su').sign(draftAssignment(fields)))
      const { commit, submit, data } = accusation(findFault(second, other) ?? assert.fail('no fault'), 'challenger')
      court.act('challenger', 'Commit-Evidence', commit)
      court.pass(originParams.commitMinBlocks)
      court.act('challenger', 'Submit-Evidence', { ...submit, Selected: second.id }, data)
      assert.equal(court.hostOf(process, su.address), undefined)
      await assert.rejects(send('meanwhile'), 'nobody may order')
      net.network.down.add(su.address) // it does not even answer any more: the CU has the log

      await successor.tick()
      assert.deepEqual(court.actions, ['Host-Bid'])
      await successor.tick()
      assert.deepEqual(court.actions, ['Host-Bid'], 'one bid is enough')
      court.pass(originParams.biddingBlocks)
      assert.deepEqual(court.hostOf(process, su.address)?.scheduler, heir.address)
      await successor.tick()
      assert.deepEqual(court.actions, ['Host-Bid', 'Host-Ready'])
      assert.equal(court.state.hosts.get(process)?.ready, true)

      court.pass(originParams.responseBlocks) // the old SU did not answer
      await successor.tick()
      await successor.tick()
      const next = await send('four')
      assert.deepEqual([next.epoch, next.nonce, next.scheduler], [1, 5, heir.address])
      const { result } = await cu.compute.result(process, next.nonce)
      assert.deepEqual((result.output as { seen: string[] }).seen, ['1984', 'one', 'two', 'three', 'left out', 'four'])
    } finally {
      await net.stop()
    }
  })
})

import assert from 'node:assert/strict'
import { hasCode } from '../../../src/lib/errors.ts'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import {
  type Assignment,
  draftAssignment,
  parseAssignment,
  type ScheduledMessage,
} from '../../../src/protocol/assignment.ts'
import type { DataItem } from '../../../src/protocol/data-item.ts'
import type { MessageId, Nonce, ProcessId } from '../../../src/protocol/ids.ts'
import { LogCollector } from '../../../src/units/economy/log-collector.ts'
import { LogTree } from '../../../src/units/economy/log-tree.ts'
import { aMessage, anId, aProcess, messages, processIdOf, schedule, testSigner } from '../../support/builders.ts'
import { eventually } from '../../support/eventually.ts'
import { HostRows } from '../../support/host-rows.ts'
import { recorder } from '../../support/script-vm.ts'
import { UnitNetwork, type UnitNode } from '../../support/unit-network.ts'

describe('a Process that another SU takes over', () => {
  let net: UnitNetwork
  let hosts: HostRows
  let su: UnitNode
  let heir: UnitNode
  let cu: UnitNode
  let mu: UnitNode
  let process: ProcessId

  beforeEach(async () => {
    hosts = new HostRows()
    net = new UnitNetwork({ recorder }, hosts)
    su = await net.node('su', ['SU'])
    heir = await net.node('su2', ['SU'])
    cu = await net.node('cu', ['CU'])
    mu = await net.node('mu', ['MU'])
    process = processIdOf(await net.spawn(mu, 'recorder', { scheduler: su.address }))
  })
  afterEach(() => net.stop())

  const send = async (data: string): Promise<Assignment> => mu.messenger.submit((await aMessage(process, { data })).raw)

  const seen = async (nonce: number): Promise<unknown> =>
    ((await cu.compute.result(process, nonce as Nonce)).result.output as { seen: unknown }).seen

  const rowsOf = async (node: UnitNode): Promise<readonly ScheduledMessage[]> => {
    const rows: ScheduledMessage[] = []
    for await (const row of node.scheduler.read(process, { from: 0 as Nonce })) rows.push(row)
    return rows
  }

  /** As a node does that has read from Arweave who hosts the Process now, up to where. */
  async function handOver(last: Assignment): Promise<void> {
    hosts.orphan(process, su.address)
    hosts.give(process, heir.address, last)
    const { network: directory } = net
    const collector = new LogCollector({
      ...{ address: heir.address, arweave: net.arweave, directory, remote: directory, kept: heir.kept },
      telemetry: silentTelemetry,
    })
    const tree = await collector.collect(process, {})
    const head = { nonce: last.nonce, assignment: last.id, hashChain: last.hashChain }
    const rows = tree.upTo(head) ?? assert.fail('the log is not whole')
    await heir.su?.adopt(process, await collector.withMessages(rows, {}))
  }

  it('goes on with the same history, the next nonce and the next epoch, linked to the last Assignment that counts', async () => {
    const sent = [await send('one'), await send('two'), await send('three')]
    const last = sent[2] ?? assert.fail()
    assert.deepEqual(await seen(3), ['1984', 'one', 'two', 'three'])
    await handOver(last)
    const next = await send('four')
    assert.deepEqual([next.scheduler, next.epoch, next.nonce], [heir.address, 1, 4])
    const rows = await rowsOf(mu)
    assert.deepEqual(
      rows.map(({ assignment }) => assignment.message),
      [process as string, ...sent.map(({ message }) => message), next.message],
    )
    assert.deepEqual(await seen(4), ['1984', 'one', 'two', 'three', 'four'])
    const again = await mu.scheduler.schedule(rows[1]?.message ?? assert.fail())
    assert.equal(again.id, sent[0]?.id, 'what was ordered before keeps its place')
  })

  it('drops what counts no more: CUs forget what it gave, and the MU has it ordered again', async () => {
    const one = await send('one')
    const [two, three] = [await send('two'), await send('three')]
    assert.deepEqual(await seen(3), ['1984', 'one', 'two', 'three'])
    await eventually('all is pushed', async () => (await mu.mu?.status())?.open === 0)
    net.network.down.add(su.address)
    await handOver(one)
    const rows = await eventually('the MU sent them again', async () => {
      const now = await rowsOf(mu)
      return now.length === 4 ? now : undefined
    })
    assert.deepEqual(
      rows.slice(2).map(({ assignment }) => [assignment.message, assignment.epoch, assignment.nonce]),
      [
        [two.message, 1, 2],
        [three.message, 1, 3],
      ],
    )
    assert.notEqual(rows[2]?.assignment.id, two.id)
    await eventually('the MU pushes it from its new place', async () => {
      const job = await mu.disk.queue.get(process, two.message)
      return job?.epoch === 1 && job.nonce === 2 && job.state === 'done'
    })
    assert.deepEqual(await seen(3), ['1984', 'one', 'two', 'three'])
    assert.equal((await cu.disk.results.get(process, 3 as Nonce))?.assignment.id, rows[3]?.assignment.id)
  })

  it('is evaluated anew where its CU followed the other branch', async () => {
    const [one, two] = [await send('one'), await send('two')]
    assert.deepEqual(await seen(2), ['1984', 'one', 'two'])
    // The old SU had also signed another message for nonce 1, and that one counts.
    const items = [await aMessage(process, { data: 'other' })]
    const fields = { ...one, message: items[0]?.id as string as MessageId }
    const other = parseAssignment(await testSigner('su').sign(draftAssignment(fields)))
    const first = (await rowsOf(mu))[0] ?? assert.fail()
    hosts.orphan(process, su.address)
    hosts.give(process, heir.address, other)
    await heir.su?.adopt(process, [
      { ...first, settled: false },
      { assignment: other, message: items[0] as DataItem, settled: false },
    ])
    assert.deepEqual(await seen(1), ['1984', 'other'])
    assert.equal(await cu.disk.results.nonceOf(process, two.message), undefined, 'what the branch gave is forgotten')
    const rows = await eventually('the MU sends its two messages again', async () => {
      const now = await rowsOf(mu)
      return now.length === 4 ? now : undefined
    })
    assert.deepEqual(await seen(3), ['1984', 'other', 'one', 'two'])
    assert.equal((await cu.compute.result(process, one.message)).result.nonce, rows[2]?.assignment.nonce)
  })

  it('is ordered by nobody but its host: not by the old one, and not before the log is whole', async () => {
    const one = await send('one')
    const message = await aMessage(process, { data: 'late' })
    const rows = await rowsOf(su)
    hosts.orphan(process, su.address)
    const refused = (code: 'NOT_READY' | 'WRONG_UNIT') => (error: unknown) => hasCode(error, code)
    await assert.rejects(su.su?.schedule(message) ?? assert.fail(), refused('NOT_READY'))
    hosts.give(process, heir.address, one)
    await assert.rejects(su.su?.schedule(message) ?? assert.fail(), refused('WRONG_UNIT'))
    await assert.rejects(heir.su?.schedule(message) ?? assert.fail(), error => hasCode(error, 'UNKNOWN_PROCESS'))
    const whole = rows.map(row => ({ ...row, settled: false }))
    await heir.su?.adopt(process, whole.slice(0, 1))
    await assert.rejects(heir.su?.schedule(message) ?? assert.fail(), refused('NOT_READY'))
    await heir.su?.adopt(process, whole)
    assert.equal((await heir.su?.schedule(message))?.epoch, 1)
  })
})

describe('units/economy: the tree of an SU that signed twice', () => {
  it('finds the longest log through the Assignment that counts, and the whole log up to a head', async () => {
    const item = await aProcess()
    const id = processIdOf(item)
    const log = await schedule(item, await messages(item, 5))
    const at = (nonce: number): Assignment => log[nonce]?.assignment ?? assert.fail()
    const second = parseAssignment(
      await testSigner('su').sign(draftAssignment({ ...at(2), message: anId<MessageId>('other') })),
    )
    const tree = new LogTree(id)
    for (const row of [...log].reverse()) tree.add({ ...row, settled: false })
    tree.add({ assignment: second, message: undefined, settled: false })
    const nonces = (rows: readonly ScheduledMessage[]): readonly string[] => rows.map(({ assignment }) => assignment.id)
    assert.deepEqual(nonces(tree.longest()), nonces(log))
    assert.deepEqual(nonces(tree.longest({ nonce: 2, assignment: at(2).id })), nonces(log))
    assert.deepEqual(nonces(tree.longest({ nonce: 2, assignment: second.id })), [at(0).id, at(1).id, second.id])
    assert.deepEqual(nonces(tree.longest({ nonce: 2, assignment: anId('nobody has it') })), [at(0).id, at(1).id])
    const headOf = ({ nonce, id: assignment, hashChain }: Assignment) => ({ nonce, assignment, hashChain })
    assert.deepEqual(nonces(tree.upTo(headOf(second)) ?? []), [at(0).id, at(1).id, second.id])
    assert.deepEqual(nonces(tree.others(tree.upTo(headOf(at(3))) ?? [])).length, 3)
    const gap = new LogTree(id)
    for (const row of log) if (row.assignment.nonce !== 3) gap.add({ ...row, settled: false })
    assert.equal(gap.upTo(headOf(at(4))), undefined)
    assert.deepEqual(nonces(gap.longest()), nonces(log.slice(0, 3)))
  })
})

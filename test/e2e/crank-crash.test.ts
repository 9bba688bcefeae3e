import assert from 'node:assert/strict'
import type { Client } from '../../src/client/client.ts'
import { utf8 } from '../../src/lib/bytes.ts'
import { echoFormat, echoModule } from '../../src/modules/echo/echo.ts'
import type { Assignment } from '../../src/protocol/assignment.ts'
import { parseAttestation } from '../../src/protocol/attestation.ts'
import { type DataItem, verifyDataItem } from '../../src/protocol/data-item.ts'
import type { Nonce, ProcessId } from '../../src/protocol/ids.ts'
import { claimedOrigin } from '../../src/protocol/origin.ts'
import { tagsOf, tagValue } from '../../src/protocol/tags.ts'
import { eventually } from '../support/eventually.ts'
import { SeededRandom, testSeed } from '../support/random.ts'
import { RealNetwork } from '../support/real-network.ts'

const slow = process.env['AONET_SLOW_TESTS'] === '1'
const rounds = Number(process.env['AONET_CRASH_ROUNDS'] ?? (slow ? 50 : 3))
/** Messages sent at once before each kill. Each sets off a Ping and a Pong. */
const burst = 8

describe('messages under kill -9', function () {
  this.timeout(120_000 + rounds * 60_000)
  const net = new RealNetwork({ shape: { su: ['SU'], 'cu-1': ['CU'], 'cu-2': ['CU'], mu: ['MU'] } })
  let client: Client
  /** At the SU. */
  let watcher: Client
  let ping: ProcessId
  let pong: ProcessId
  before(async () => {
    await net.start()
    const module = await net.publish({ bytes: echoModule(), format: echoFormat, name: 'echo' })
    client = await net.client('mu')
    watcher = await net.client('su')
    const authorities = [net.node('mu').address]
    ping = (await client.spawn({ module, authorities })).process
    pong = (await client.spawn({ module, authorities })).process
  })
  after(async () => {
    await client?.close()
    await watcher?.close()
    await net.stop()
  })

  const anItem = (text: string): Promise<DataItem> =>
    net.user.sign({
      target: ping,
      data: utf8(text),
      tags: tagsOf(
        ['Data-Protocol', 'ao'],
        ['Variant', 'ao.TN.1'],
        ['Type', 'Message'],
        ['Action', 'Send-Ping'],
        ['Recipient', pong],
      ),
    })
  /** As a user does who wants it in: the same bytes again until somebody answers. */
  const submit = (item: DataItem): Promise<Assignment> =>
    eventually(
      'an acknowledgement',
      () => client.node.units.messenger.submit(item.raw, { signal: AbortSignal.timeout(5_000) }).catch(() => undefined),
      60_000,
    )
  /** From 1 on; undefined while the SU is away. */
  const newestPush = (): Promise<number | undefined> =>
    watcher.assignment(pong, 'newest').then(
      ({ nonce }) => nonce + 1,
      () => undefined,
    )
  const rowsOf = async (process: ProcessId): Promise<readonly DataItem[]> => {
    const rows: DataItem[] = []
    for await (const { assignment, message } of client.node.units.scheduler.read(process, { from: 0 as Nonce })) {
      assert.equal(assignment.nonce, rows.length, 'the nonces have no gap')
      assert.ok(message)
      rows.push(message)
    }
    return rows
  }

  it('loses none, applies none twice, and leaves every CU with the same states', async () => {
    const seed = testSeed()
    const random = new SeededRandom(seed)
    const acknowledged: Assignment[] = []
    for (let round = 0; round < rounds; round++) {
      for (const [i, name] of ['mu', 'su', 'cu-1', 'mu', 'cu-2'].entries()) {
        const before = acknowledged.length
        const pushed = await eventually('the SU to answer', newestPush, 60_000)
        const items = await Promise.all(Array.from({ length: burst }, (_, place) => anItem(`${round} ${i} ${place}`)))
        const sending = Promise.all(items.map(async item => acknowledged.push(await submit(item))))
        // Acknowledged messages are half pushed when it dies.
        const isUnderWay = async (): Promise<boolean> =>
          acknowledged.length > before && ((await newestPush()) ?? 0) > pushed
        await eventually('the first push', isUnderWay, 60_000)
        await new Promise(resolve => setTimeout(resolve, random.below(30)))
        await net.node(name).kill()
        await net.node(name).start()
        await sending
      }
    }
    const sent = acknowledged.length
    const quiet = async (): Promise<boolean> => {
      const status = (await net.node('mu').status())?.['messenger'] as { open?: number } | undefined
      return status?.open === 0 && (await client.assignment(ping, 'newest')).nonce >= 2 * sent
    }
    await eventually('all to be delivered', quiet, 90_000).catch(async cause => {
      const { text } = await whatIsMissing(acknowledged)
      throw new Error(`not delivered with TEST_SEED=${seed}: ${text}`, { cause })
    })
    const toPing = await rowsOf(ping)
    const toPong = await rowsOf(pong)
    const withAction = (rows: readonly DataItem[], action: string): readonly DataItem[] =>
      rows.filter(({ tags }) => tagValue(tags, 'Action') === action)
    for (const [rows, action] of [
      [toPing, 'Send-Ping'],
      [toPong, 'Ping'],
      [toPing, 'Pong'],
    ] as const) {
      assert.equal(withAction(rows, action).length, sent, action)
    }
    for (const rows of [withAction(toPing, 'Pong'), withAction(toPong, 'Ping')]) {
      assert.equal(new Set(rows.map(claimedOrigin)).size, sent, 'a part was pushed twice')
    }
    for (const { nonce, message } of acknowledged) assert.equal(toPing[nonce]?.id, message)
    await assertEqualStates(ping, toPing.length)
    await assertEqualStates(pong, toPong.length)
    const last = acknowledged.at(-1)
    assert.ok(last)
    const { problems, messages } = await client.trace(ping, last.message)
    assert.deepEqual([problems, messages], [[], 3])
  })

  async function assertEqualStates(process: ProcessId, length: number): Promise<void> {
    const roots: string[] = []
    for (const name of ['cu-1', 'cu-2']) {
      const cu = await net.client(name)
      for (const nonce of [length >> 1, length - 1]) {
        const { result, attestation } = await cu.node.units.compute.result(process, nonce as Nonce)
        assert.equal(parseAttestation(await verifyDataItem(attestation)).compute, net.node(name).address)
        roots.push(result.stateRoot)
      }
      await cu.close()
    }
    assert.deepEqual(roots.slice(0, 2), roots.slice(2))
  }

  async function whatIsMissing(acknowledged: readonly Assignment[]): Promise<{ text: string }> {
    const texts: string[] = []
    for (const { message } of acknowledged) {
      const { problems } = await client.trace(ping, message)
      if (problems.length > 0) texts.push(JSON.stringify(problems))
      if (texts.length > 3) break
    }
    return { text: texts.join('\n') || 'no trace shows a problem' }
  }
})

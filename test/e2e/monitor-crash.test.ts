import assert from 'node:assert/strict'
import type { Client } from '../../src/client/client.ts'
import { echoFormat, echoModule } from '../../src/modules/echo/echo.ts'
import type { ProcessId } from '../../src/protocol/ids.ts'
import { tagsOf, tagValue } from '../../src/protocol/tags.ts'
import { eventually } from '../support/eventually.ts'
import { RealNetwork } from '../support/real-network.ts'

const slow = process.env['AONET_SLOW_TESTS'] === '1'
/** Each kills every node of these once. */
const rounds = slow ? 5 : 1
const nodes = slow ? (['mu', 'cu', 'su'] as const) : (['mu'] as const)

describe('crons under kill -9', function () {
  this.timeout(90_000 + rounds * 90_000)
  const net = new RealNetwork({ shape: { watcher: [], su: ['SU'], cu: ['CU'], mu: ['MU'] } })
  let client: Client
  let ticker: ProcessId
  let target: ProcessId
  before(async () => {
    await net.start()
    const module = await net.publish({ bytes: echoModule(), format: echoFormat, name: 'echo' })
    client = await net.client('watcher')
    const authorities = [net.node('mu').address]
    target = (await client.spawn({ module, authorities })).process
    const tags = tagsOf(['Cron-Interval', '1-second'], ['Cron-Tag-Action', 'Send-Ping'], ['Cron-Tag-Recipient', target])
    ticker = (await client.spawn({ module, authorities, tags })).process
  })
  after(async () => {
    await client?.close()
    await net.stop()
  })

  /** Times of the ticks that reached the target, in the order of its schedule. */
  const ticks = async (): Promise<number[]> => {
    const found: number[] = []
    for await (const { message } of client.schedule(target, {})) {
      const [, timestamp] = (message && tagValue(message.tags, 'From-Nonce'))?.split(' ') ?? []
      if (timestamp !== undefined) found.push(Number(timestamp))
    }
    return found
  }
  const more = (count: number): Promise<unknown> =>
    eventually(
      `${count} ticks`,
      () =>
        ticks().then(
          found => (found.length >= count ? true : undefined),
          () => undefined,
        ),
      60_000,
    )

  it('push each tick once: none lost, none twice, whichever node dies', async () => {
    await client.monitor(ticker)
    await more(2)
    for (let round = 0; round < rounds; round++) {
      for (const name of nodes) {
        const node = net.node(name)
        await node.kill()
        await node.start()
        await eventually('the nodes to find each other again', () => net.isWhole(), 60_000)
        await more((await ticks()).length + 1)
      }
    }
    // Targets get the ticks of one page side by side, so the order may be another.
    const all = (await ticks()).sort((a, b) => a - b)
    assert.deepEqual(
      all,
      all.map((_, i) => (all[0] ?? 0) + i * 1000),
    )
  })
})

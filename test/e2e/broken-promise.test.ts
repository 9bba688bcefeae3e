import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fromBase64Url } from '../../src/lib/bytes.ts'
import { type DataItem, verifyDataItem } from '../../src/protocol/data-item.ts'
import { parsePromise } from '../../src/protocol/delivery-promise.ts'
import type { TestnetNode } from '../../src/testnet/layout.ts'
import { endpointOf } from '../../src/testnet/layout.ts'
import { nodeUrl } from '../../src/testnet/node-status.ts'
import { aMessage } from '../support/builders.ts'
import { eventually } from '../support/eventually.ts'
import { runCli } from '../support/run-cli.ts'
import { type StakedTestnet, withStakedTestnet } from '../support/staked-testnet.ts'

const slow = process.env['AONET_SLOW_TESTS'] === '1'

describe('an MU that promises delivery, on a network of separate processes', () => {
  it('loses stake if it passes nothing on and whoever sent the message asks for it', async function () {
    if (!slow) this.skip()
    this.timeout(300_000)
    await withStakedTestnet({ cheat: 'all-1', heir: 'mu-1', role: 'MU', fault: 'no-deliver' }, play)
  })
})

async function play(net: StakedTestnet): Promise<void> {
  const { cwd, cheat, heir, user, signer, module, stake, gateway } = net
  const { process } = await user.client.spawn({ module })
  const cli = async (args: readonly string[]): Promise<Record<string, string>> => {
    const { code, out, error } = await runCli([...args, '--json'], { cwd, timeoutMs: 60_000 })
    assert.equal(code, 0, error)
    return JSON.parse(out) as Record<string, string>
  }
  // A stake counts some blocks after it was bonded, and each node reads that from Arweave.
  for (const node of [cheat, heir]) {
    const probe = await aMessage(process, { data: node.name, signer })
    await eventually(`the stake of ${node.name} counts`, async () => (await post(node, probe)).status === 202, 60_000)
  }
  const promised = async (by: TestnetNode, file: string) => {
    const args = ['send', process, '--data', file, '--promise', file, '--node', endpointOf(by)]
    assert.equal((await cli(args))['messenger'], by.address)
    return parsePromise(await verifyDataItem(readFileSync(join(cwd, file))))
  }
  // The honest one is asked over HTTP.
  const message = await aMessage(process, { data: 'kept', signer })
  const taken = await post(heir, message)
  const answer = (await taken.json()) as Record<string, string>
  assert.equal(taken.status, 202, JSON.stringify(answer))
  const bytes = fromBase64Url(answer['promise'] ?? '')
  writeFileSync(join(cwd, 'kept'), bytes)
  const kept = parsePromise(await verifyDataItem(bytes))
  assert.deepEqual([kept.messenger, kept.message], [heir.address, message.id])
  const broken = await promised(cheat, 'broken')
  await eventually(
    'the honest one delivers',
    () => user.client.assignment(process, kept.message).catch(() => undefined),
    30_000,
  )
  assert.equal((await cli(['evidence', 'check', 'broken']))['messenger'], cheat.address)
  const isOver = async (): Promise<boolean> => (await gateway.head()).height > broken.deadline + 2
  await eventually('the deadline is over', isOver, 60_000)
  for (const file of ['kept', 'broken']) await cli(['evidence', 'submit', file])

  const offence = await net.slashed(120_000)
  assert.equal(offence.class, 'delivery')
  assert.equal(BigInt(offence.slashed), (stake * 50n) / 10_000n)
  assert.equal(offence.reporter, user.client.address)
  const { offences } = JSON.parse(await user.court.ask('Slashes')) as { offences: [string, { operator: string }][] }
  assert.deepEqual(
    offences.map(([, { operator }]) => operator),
    [cheat.address],
    'the honest one lost nothing',
  )
}

const post = (node: TestnetNode, { raw }: DataItem): Promise<Response> =>
  fetch(`${nodeUrl(node)}/mu?promise=1`, { method: 'POST', body: Buffer.from(raw) })

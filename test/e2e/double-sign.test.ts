import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { GatewayClient } from '../../src/arweave/gateway-client.ts'
import { Client } from '../../src/client/client.ts'
import { publishModule } from '../../src/client/module.ts'
import { OriginClient } from '../../src/client/origin.ts'
import { oneAo } from '../../src/economy/quantity.ts'
import { hasCode } from '../../src/lib/errors.ts'
import { silentTelemetry } from '../../src/lib/telemetry.ts'
import { echoFormat, echoModule } from '../../src/modules/echo/echo.ts'
import { connectNode } from '../../src/network/grpc/connect.ts'
import { loadKey } from '../../src/node/keys.ts'
import { parseStoredItem } from '../../src/protocol/data-item.ts'
import { parseEvidence, verifyEvidence } from '../../src/protocol/evidence.ts'
import type { Address } from '../../src/protocol/ids.ts'
import { defaultTestnetDirectory, readState, type TestnetState } from '../../src/testnet/layout.ts'
import { fetchStatus } from '../../src/testnet/node-status.ts'
import { endpointOf } from '../../src/testnet/testnet.ts'
import { withTempDir } from '../support/builders.ts'
import { eventually } from '../support/eventually.ts'
import { runCli } from '../support/run-cli.ts'

interface Offence {
  readonly operator: Address
  readonly class: string
  readonly slashed: string
  readonly reporter: Address
  readonly paidReporter: string
  readonly executed: boolean
}

const slow = process.env['AONET_SLOW_TESTS'] === '1'

describe('an SU that signs twice, on a network of separate processes', () => {
  it('is noticed, proven, slashed and given no more work, without anyone touching it; all nodes agree', async function () {
    if (!slow) this.skip()
    this.timeout(300_000)
    await withTempDir(async cwd => {
      try {
        const args = ['testnet', 'up', '--detach', '--fault', 'all-1=double-sign']
        const up = await runCli(args, { cwd, timeoutMs: 120_000 })
        assert.equal(up.code, 0, up.error)
        await play(readState(join(cwd, defaultTestnetDirectory)) ?? assert.fail('no testnet'), cwd)
      } finally {
        await runCli(['testnet', 'down'], { cwd, timeoutMs: 60_000 })
      }
    })
  })
})

async function play(state: TestnetState, cwd: string): Promise<void> {
  const { nodes, origin, arweave } = state
  const wallet = join(cwd, state.wallet)
  const [entry, cheat] = ['mu-1', 'all-1'].map(name => nodes.find(node => node.name === name) ?? assert.fail(name))
  if (entry === undefined || cheat === undefined || origin === undefined) assert.fail('the testnet is not as it was')
  const talk = async (key: string) => {
    const client = new Client(await connectNode(endpointOf(entry), {}), loadKey(join(cwd, key), '').signer)
    return { client, court: new OriginClient(client, origin.process) }
  }
  const [user, unit, faucet] = await Promise.all(
    [state.wallet, join(cheat.directory, 'key.json'), origin.faucet].map(talk),
  )
  if (user === undefined || unit === undefined || faucet === undefined) assert.fail()
  const stake = 1000n * oneAo
  await faucet.court.act('Transfer', { Recipient: user.client.address, Quantity: String(2n * stake) })
  await user.court.act('Stake', { Role: 'SU', Operator: cheat.address, Quantity: String(stake) })
  await unit.court.act('Register-Operator', { Role: 'SU', 'Owner-Account': user.client.address })

  // A Process of the cheat's; its second message shows the fault.
  const signer = loadKey(wallet, '').signer
  const gateway = new GatewayClient(silentTelemetry, { gatewayUrl: arweave.url })
  const module = await publishModule({ bytes: echoModule(), format: echoFormat }, { arweave: gateway, signer })
  const spawned = await user.client.spawn({ module, scheduler: cheat.address })
  await user.client.send(spawned.process, { tags: [{ name: 'Action', value: 'Ping' }] })

  const slashed = async (): Promise<Offence | undefined> => {
    const { offences } = JSON.parse(await user.court.ask('Slashes')) as { offences: [string, Offence][] }
    return offences.map(([, row]) => row).find(row => row.operator === cheat.address && row.executed)
  }
  const offence = await eventually('the SU is slashed', slashed, 120_000)
  assert.equal(BigInt(offence.slashed), stake / 2n)
  assert.equal(BigInt(offence.paidReporter), (stake / 2n / 100n) * 5n, 'the reporter got its twentieth')
  assert.ok(
    nodes.some(({ address }) => address === offence.reporter),
    'a node reported, on its own',
  )
  const fund = JSON.parse(await user.court.ask('Info')) as Record<string, string>
  assert.equal(BigInt(fund['Insurance'] ?? 0), (stake / 2n / 100n) * 45n)

  // The evidence is a file that proves it to anybody.
  const reporter = nodes.find(({ address }) => address === offence.reporter) ?? assert.fail()
  const [file] = readdirSync(join(cwd, reporter.directory, 'evidence'))
  const evidence = parseEvidence(parseStoredItem(readFileSync(join(cwd, reporter.directory, 'evidence', file ?? ''))))
  assert.equal((await verifyEvidence(evidence)).unit, cheat.address)

  // Every node's own replay from Arweave, and the CU's state in QuickJS, are one.
  const oneHash = async (): Promise<boolean> => {
    const own = await Promise.all(
      nodes.map(async node => (await fetchStatus(node))?.['economy'] as Record<string, string>),
    )
    return new Set([...own.map(economy => economy['stateHash']), await user.court.ask('State-Hash')]).size === 1
  }
  await eventually('all agree', oneHash, 60_000)
  const refused = (): Promise<boolean> =>
    user.client.send(spawned.process, {}).then(
      () => false,
      error => hasCode(error, 'NOT_READY'),
    )
  await eventually('its Process has no host any more', refused, 30_000)
  await Promise.all([user, unit, faucet].map(({ client }) => client.close()))
}

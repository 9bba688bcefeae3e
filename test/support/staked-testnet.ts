import assert from 'node:assert/strict'
import { join } from 'node:path'
import { GatewayClient } from '../../src/arweave/gateway-client.ts'
import { Client } from '../../src/client/client.ts'
import { publishModule } from '../../src/client/module.ts'
import { OriginClient } from '../../src/client/origin.ts'
import { oneAo } from '../../src/economy/quantity.ts'
import { silentTelemetry } from '../../src/lib/telemetry.ts'
import { echoFormat, echoModule } from '../../src/modules/echo/echo.ts'
import { connectNode } from '../../src/network/grpc/connect.ts'
import { loadKey } from '../../src/node/keys.ts'
import type { Address, ModuleId } from '../../src/protocol/ids.ts'
import type { Signer } from '../../src/protocol/keys.ts'
import type { UnitRole } from '../../src/protocol/unit-record.ts'
import { defaultTestnetDirectory, endpointOf, readState, type TestnetNode } from '../../src/testnet/layout.ts'
import { withTempDir } from './builders.ts'
import { eventually } from './eventually.ts'
import { runCli } from './run-cli.ts'

/** A row of `Slashes`. */
export interface Offence {
  readonly operator: Address
  readonly class: string
  readonly slashed: string
  readonly reporter: Address
  readonly paidReporter: string
  readonly executed: boolean
}

/** `role`: what both stake for; SU by default. */
interface Names {
  readonly cheat: string
  readonly heir: string
  readonly role?: UnitRole
}

interface Party {
  readonly client: Client
  readonly court: OriginClient
}

/** A testnet of processes whose SU `cheat` misbehaves and is staked, and so is `heir`. */
export interface StakedTestnet {
  readonly cwd: string
  readonly nodes: readonly TestnetNode[]
  readonly cheat: TestnetNode
  readonly heir: TestnetNode
  /** Owner of both stakes. */
  readonly user: Party
  readonly signer: Signer
  readonly gateway: GatewayClient
  readonly module: ModuleId
  /** Of each of the two. */
  readonly stake: bigint
  /** Waits until the cheat has been slashed. */
  slashed(timeoutMs: number): Promise<Offence>
}

/** Brings one up, plays on it, and takes it down. */
export async function withStakedTestnet(
  names: Names & { readonly fault: string },
  play: (net: StakedTestnet) => Promise<void>,
): Promise<void> {
  await withTempDir(async cwd => {
    try {
      const args = ['testnet', 'up', '--detach', '--fault', `${names.cheat}=${names.fault}`]
      const up = await runCli(args, { cwd, timeoutMs: 120_000 })
      assert.equal(up.code, 0, up.error)
      await stakeAndPlay(cwd, names, play)
    } finally {
      await runCli(['testnet', 'down'], { cwd, timeoutMs: 60_000 })
    }
  })
}

async function stakeAndPlay(cwd: string, names: Names, play: (net: StakedTestnet) => Promise<void>): Promise<void> {
  const state = readState(join(cwd, defaultTestnetDirectory)) ?? assert.fail('no testnet')
  const { nodes, origin, arweave } = state
  if (origin === undefined) assert.fail('there is no AO-Sec Origin')
  const node = (name: string): TestnetNode => nodes.find(one => one.name === name) ?? assert.fail(name)
  const [entry, cheat, heir] = [node('mu-1'), node(names.cheat), node(names.heir)]
  const talk = async (key: string): Promise<Party> => {
    const client = new Client(await connectNode(endpointOf(entry), {}), loadKey(join(cwd, key), '').signer)
    return { client, court: new OriginClient(client, origin.process) }
  }
  const user = await talk(state.wallet)
  const faucet = await talk(origin.faucet)
  const units = [cheat, heir]
  const { role = 'SU' } = names
  const stake = 1000n * oneAo
  await faucet.court.act('Transfer', { Recipient: user.client.address, Quantity: String(3n * stake) })
  const parties = [user, faucet]
  for (const { address, directory } of units) {
    const unit = await talk(join(directory, 'key.json'))
    parties.push(unit)
    await user.court.act('Stake', { Role: role, Operator: address, Quantity: String(stake) })
    await unit.court.act('Register-Operator', { Role: role, 'Owner-Account': user.client.address })
  }
  const { signer } = loadKey(join(cwd, state.wallet), '')
  const gateway = new GatewayClient(silentTelemetry, { gatewayUrl: arweave.url })
  const module = await publishModule({ bytes: echoModule(), format: echoFormat }, { arweave: gateway, signer })
  const find = async (): Promise<Offence | undefined> => {
    // While AO-Sec Origin itself changes hands nobody answers for it.
    const answer = await user.court.ask('Slashes').catch(() => '{"offences":[]}')
    const { offences } = JSON.parse(answer) as { offences: [string, Offence][] }
    return offences.map(([, row]) => row).find(row => row.operator === cheat.address && row.executed)
  }
  const slashed = (timeoutMs: number): Promise<Offence> => eventually('the SU is slashed', find, timeoutMs)
  await play({ cwd, nodes, cheat, heir, user, signer, gateway, module, stake, slashed })
  await Promise.all(parties.map(({ client }) => client.close()))
}

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { Client } from '../../src/client/client.ts'
import { OriginClient } from '../../src/client/origin.ts'
import { connectNode } from '../../src/network/grpc/connect.ts'
import { loadKey } from '../../src/node/keys.ts'
import { testnetEconomy } from '../../src/protocol/economy-params.ts'
import { defaultTestnetDirectory, endpointOf, readState } from '../../src/testnet/layout.ts'
import { fetchStatus } from '../../src/testnet/node-status.ts'
import { withTempDir } from '../support/builders.ts'
import { eventually } from '../support/eventually.ts'
import { runCli } from '../support/run-cli.ts'
import { loadVectors } from '../support/vectors.ts'

const slow = process.env['AONET_SLOW_TESTS'] === '1'
const { genesisMs, cycleMs } = testnetEconomy.emission

interface Vectors {
  readonly profiles: { readonly 'halving-4y': { readonly points: readonly { n: number; cumulative: string }[] } }
}
interface Info {
  readonly Cycle: string
  readonly Minted: string
  readonly Burned: string
  readonly Supply: string
}
/** In cycles. */
const thirtyTwoYears = 3_366_144

describe('the token on a network of separate processes', () => {
  it('is minted to who holds AR with nobody touching it, and as the vectors say for 32 years', async function () {
    if (!slow) this.skip()
    this.timeout(580_000)
    await withTempDir(async cwd => {
      try {
        const up = await runCli(['testnet', 'up', '--detach'], { cwd, timeoutMs: 120_000 })
        assert.equal(up.code, 0, up.error)
        await play(cwd)
      } finally {
        await runCli(['testnet', 'down'], { cwd, timeoutMs: 60_000 })
      }
    })
  })
})

async function play(cwd: string): Promise<void> {
  const state = readState(join(cwd, defaultTestnetDirectory)) ?? assert.fail('no testnet')
  const { nodes, origin = assert.fail('no AO-Sec Origin'), arweave } = state
  const entry = nodes.find(({ roles }) => roles.includes('MU')) ?? assert.fail('no MU')
  const { signer } = loadKey(join(cwd, state.wallet), '')
  const client = new Client(await connectNode(endpointOf(entry), {}), signer)
  const court = new OriginClient(client, origin.process)
  const info = async (): Promise<Info> => JSON.parse(await court.ask('Info')) as Info
  /** Moves Arweave's time to where a cycle begins, and waits until the nodes have minted up to there by themselves. */
  const goTo = async (cycle: number): Promise<Info> => {
    const answer = await fetch(`${arweave.url}/clock/${genesisMs + cycle * cycleMs}`)
    assert.equal(answer.status, 200, await answer.text())
    const isThere = async () => {
      const now = await info().catch(() => undefined)
      return Number(now?.Cycle) >= cycle ? now : undefined
    }
    return eventually(`cycle ${cycle}`, isThere, 240_000)
  }

  // The wallet holds AR on the embedded Arweave. In the cycle after that is known it earns, and nobody sent anything.
  const now = Number((await info()).Cycle)
  await goTo(now + 1)
  const earns = async (): Promise<boolean> => BigInt(await court.ask('Balance')) > 0n
  for (let cycle = now + 2; !(await earns()); cycle++) {
    assert.ok(cycle < now + 8, 'nothing was minted to the holder of AR')
    await goTo(cycle)
  }

  const vectors = loadVectors('economy/emission.json') as Vectors
  const { Cycle } = await info()
  const points = vectors.profiles['halving-4y'].points.filter(({ n }) => n > Number(Cycle) && n <= thirtyTwoYears)
  assert.ok(points.length > 5 && points.at(-1)?.n === thirtyTwoYears)
  for (const { n, cumulative } of points) {
    const { Minted, Burned, Supply, Cycle: at } = await goTo(n)
    assert.equal(Number(at), n)
    assert.equal(Minted, cumulative, `at cycle ${n}`)
    assert.equal(BigInt(Supply), BigInt(Minted) - BigInt(Burned))
  }

  // The CUs' QuickJS and each node's own replay are one state.
  const oneHash = async (): Promise<boolean> => {
    const own = await Promise.all(
      nodes.map(async node => (await fetchStatus(node))?.['economy'] as { stateHash: string }),
    )
    const asked = await court.ask('State-Hash').catch(() => 'nobody answers')
    return new Set([...own.map(({ stateHash }) => stateHash), asked]).size === 1
  }
  await eventually('all agree', oneHash, 60_000)
  await client.close()
}

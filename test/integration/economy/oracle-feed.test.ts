import assert from 'node:assert/strict'
import { GatewayClient } from '../../../src/arweave/gateway-client.ts'
import { audit } from '../../../src/economy/audit.ts'
import { cycleAt } from '../../../src/economy/emission.ts'
import { balanceOf } from '../../../src/economy/ledger.ts'
import { maxDeltas } from '../../../src/economy/oracle.ts'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import { OracleFeed } from '../../../src/units/economy/oracle-feed.ts'
import { anId, testSigner } from '../../support/builders.ts'
import { Court } from '../../support/court.ts'
import { addressOf, originId, originParams } from '../../support/origin.ts'
import { RunningDevnet } from '../arweave/running-devnet.ts'

const { genesisMs, cycleMs } = originParams.emission
const reporters = ['oracle1', 'oracle2', 'oracle3'] as const
const ar = (amount: number): bigint => BigInt(amount) * 10n ** 12n

describe('reports of holdings from an embedded Arweave', () => {
  let arweave: RunningDevnet
  let gateway: GatewayClient
  let court: Court
  let cycle: number

  beforeEach(async () => {
    arweave = await RunningDevnet.start({ startHeight: 1000 })
    gateway = new GatewayClient(silentTelemetry, { gatewayUrl: arweave.url })
    court = new Court()
    cycle = cycleAt(originParams.emission, Date.now())
    court.mail.timestamp = genesisMs + cycle * cycleMs
    while (court.state.emission.value.cycle < cycle) court.act('faucet', 'Mint')
  })
  afterEach(() => arweave.remove())

  const feedOf = (name: string): OracleFeed =>
    new OracleFeed({
      ...{ address: testSigner(name).address, origin: originId, economy: court, telemetry: silentTelemetry },
      ...{ arweave: gateway, mail: court.mailOf(name, gateway as never) },
    })
  const give = async (name: string, quantity: bigint, asset = ''): Promise<void> => {
    const answer = await arweave.get(`/mint/${addressOf(name)}/${quantity}${asset === '' ? '' : `?asset=${asset}`}`)
    assert.equal(answer.status, 200)
  }
  /** A new cycle begins, deep enough in the chain to count. */
  async function nextCycle(): Promise<void> {
    cycle++
    await arweave.mine()
    assert.equal((await arweave.post(`/clock/${genesisMs + cycle * cycleMs}`)).status, 200)
    for (let i = 0; i < originParams.settlementDepth; i++) await arweave.mine()
    const { height, timestamp } = await gateway.head()
    court.mail.height = Math.max(court.mail.height, height)
    court.mail.timestamp = timestamp
  }
  const owned = (name: string, resource = 'AR'): bigint =>
    court.state.holders.get(`${resource} ${addressOf(name)}`)?.own ?? 0n
  const reports = (): number => court.actions.filter(action => action === 'Oracle-Report').length

  it('reach AO-Sec Origin once a cycle, only where something has changed, and what is minted goes to who holds it', async () => {
    const feeds = reporters.map(feedOf)
    await give('alice', ar(3))
    await give('bob', ar(1))
    await nextCycle()
    await give('carol', ar(96)) // in the cycle itself: that counts from the next one on
    await arweave.mine()
    for (const feed of feeds) await feed.tick()
    for (const feed of feeds) await feed.tick()
    assert.equal(reports(), reporters.length, 'each has said it once')
    assert.deepEqual([owned('alice'), owned('bob'), owned('carol'), owned('faucet')], [ar(3), ar(1), 0n, 0n])

    const before = [balanceOf(court.state, addressOf('alice')), balanceOf(court.state, addressOf('bob'))] as const
    await nextCycle()
    for (const feed of feeds) await feed.tick()
    assert.equal(court.state.emission.value.cycle, cycle, 'and what was due is minted')
    const [alice = 0n, bob = 0n] = ['alice', 'bob'].map(
      (name, i) => balanceOf(court.state, addressOf(name)) - (before[i] ?? 0n),
    )
    assert.ok(alice > 0n && bob > 0n && (alice - 3n * bob) ** 2n <= 9n, `${alice} and ${bob}`)
    assert.equal(owned('carol'), ar(96))

    const sent = reports()
    await nextCycle()
    for (const feed of feeds) await feed.tick()
    assert.equal(reports(), sent, 'nothing has changed')
    assert.equal(audit(court.state).missing, 0n)
  })

  it('speak of bridged assets as well', async () => {
    assert.ok(court.state.resources.has('AR'))
    const held = court.state.resources.get('AR') ?? assert.fail()
    court.state.resources.set('stETH', { ...held, class: 'bridge', quantity: 0n, weight: 1n })
    await give('dave', 7n, 'stETH')
    await nextCycle()
    for (const name of reporters) await feedOf(name).tick()
    assert.equal(owned('dave', 'stETH'), 7n)
    assert.equal(court.state.classes.get('bridge')?.total, 7n)
  })

  it('are signed alike whenever a reporter looks, and after a restart said no second time', async () => {
    await give('alice', ar(3))
    await nextCycle()
    await feedOf('oracle1').tick()
    await give('alice', ar(5))
    for (let i = 0; i < 3; i++) await arweave.mine()
    await feedOf('oracle1').tick()
    assert.equal(reports(), 1, 'the economy shows that it was said')
    await feedOf('oracle2').tick()
    assert.equal(owned('alice'), 0n, 'two of three are not enough')
    await feedOf('oracle3').tick()
    assert.equal(owned('alice'), ar(3))
    assert.equal(court.state.votes.size, 0)
  })

  it('that fell apart in one cycle come together in the next', async () => {
    await give('alice', ar(3))
    await nextCycle()
    court.act('oracle1', 'Oracle-Report', { Resource: 'AR', Cycle: String(cycle), Total: '9' }, '{"deltas":[]}')
    for (const name of reporters) await feedOf(name).tick()
    assert.equal(owned('alice'), 0n)
    await nextCycle()
    for (const name of reporters) await feedOf(name).tick()
    assert.equal(owned('alice'), ar(3))
    assert.ok(court.state.votes.size <= reporters.length, 'one word of each at the most')
  })

  it('of more changes than one report holds begin with the largest', async () => {
    const many = maxDeltas + 7
    for (let i = 0; i < many; i++) await arweave.get(`/mint/${anId(`holder ${i}`)}/${1000 + i}`)
    await nextCycle()
    for (const name of reporters) await feedOf(name).tick()
    const left = (): number =>
      Array.from({ length: many }, (_, i) => court.state.holders.get(`AR ${anId(`holder ${i}`)}`)?.own ?? 0n).filter(
        own => own === 0n,
      ).length
    assert.equal(left(), many - maxDeltas)
    await nextCycle()
    for (const name of reporters) await feedOf(name).tick()
    assert.equal(left(), 0)
    assert.equal(court.state.resources.get('AR')?.quantity, BigInt(many * 1000 + (many * (many - 1)) / 2))
  })

  it('come from nobody whom the parameters do not name', async () => {
    await give('alice', ar(3))
    await nextCycle()
    await feedOf('mu').tick()
    assert.deepEqual(court.actions, [])
    court.act('mu', 'Oracle-Report', { Resource: 'AR', Cycle: String(cycle), Total: '1' }, '{"deltas":[]}')
    assert.equal(court.state.votes.size, 0)
  })
})

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GatewayClient } from '../../../src/arweave/gateway-client.ts'
import { type Client, connect } from '../../../src/client/index.ts'
import { publishModule } from '../../../src/client/module.ts'
import { Devnet } from '../../../src/devnet/devnet.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { hasCode } from '../../../src/lib/errors.ts'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import { echoFormat, echoModule } from '../../../src/modules/echo/echo.ts'
import { loadConfig } from '../../../src/node/config.ts'
import { createKey, type LoadedKey } from '../../../src/node/keys.ts'
import { type AoNode, createNode } from '../../../src/node/node.ts'
import type { ScheduledMessage } from '../../../src/protocol/assignment.ts'
import type { DataItem } from '../../../src/protocol/data-item.ts'
import type { ModuleId, Nonce, ProcessId } from '../../../src/protocol/ids.ts'
import { tagValue } from '../../../src/protocol/tags.ts'
import { eventually } from '../../support/eventually.ts'
import { Gate } from '../../support/gate.ts'

/** What is sent to it, as JSON, is its outbox. */
const puppet = `globalThis.handle = message => (message.Type === 'Process' ? { Output: '' } : JSON.parse(message.Data))`

/** Two networks that know nothing of each other but the same Arweave: `here` sends to Processes `there`. */
describe('an SU of another network', function () {
  this.timeout(120_000)
  const gate = new Gate()
  let dir: string
  let devnet: Devnet
  let wallet: LoadedKey
  let payer: LoadedKey
  let su: AoNode
  let mu: AoNode
  let there: AoNode
  let user: Client
  let neighbour: Client
  let sender: ProcessId
  let module: ModuleId

  /** A node of `here` or of another network, with its data in a directory of that name. */
  async function start(name: string, flags: Record<string, unknown>): Promise<AoNode> {
    const dataDir = join(dir, name)
    const keyFile = join(dataDir, 'key.json')
    createKey(keyFile, 'ed25519')
    const common = { dataDir, arweaveUrl: devnet.url, logLevel: 'error', computeWorkers: 1, settleEveryMs: 500 }
    const node = createNode(loadConfig({ flags: { ...common, ...flags } }), { version: 'test', keyFile })
    await node.start()
    return node
  }

  /** The MU of `here`; without a wallet it has no RSA key. */
  async function startMessenger(flags: Record<string, unknown> = {}): Promise<void> {
    const bootstrap = (await su.status())['multiaddrs']
    const walletFile = join(dir, 'wallet.json')
    mu = await start('mu', { roles: ['MU'], bootstrap, arweaveWallet: walletFile, crankAgeMs: 4_000, ...flags })
    await eventually('the MU knows its SU', async () => (await mu.status())['units'] === 2, 20_000)
    user = await connect(mu.httpUrl, { wallet: wallet.jwk })
  }
  async function stopMessenger(): Promise<void> {
    await user.close()
    await mu.stop()
  }

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'aonet-foreign-'))
    devnet = new Devnet(
      { ...silentTelemetry, clock: systemClock },
      { dataDir: join(dir, 'arweave'), host: '127.0.0.1', port: 0, blockMs: 300, network: 'foreign' },
    )
    await devnet.start()
    wallet = createKey(join(dir, 'wallet.json'), 'rsa')
    payer = createKey(join(dir, 'payer.json'), 'rsa')
    for (const { signer } of [wallet, payer]) await fetch(`${devnet.url}/mint/${signer.address}/1000000000000000`)
    const arweave = new GatewayClient(silentTelemetry, { gatewayUrl: devnet.url })
    const echo = { bytes: echoModule(), format: echoFormat, name: 'echo' }
    module = await publishModule(echo, { arweave, signer: wallet.signer })
    await gate.start()
    const arweaveWallet = join(dir, 'payer.json')
    su = await start('su', { roles: ['SU', 'CU'], arweaveWallet })
    await startMessenger()
    // Off testnets an SU names a block some way below the newest: there has to be one.
    const first = (await arweave.head()).height
    await eventually('a few blocks', async () => (await arweave.head()).height > first + 3, 20_000)
    const elsewhere = { network: 'elsewhere', insecurePlaintextKey: true, httpAdvertise: gate.url }
    there = await start('there', { roles: ['MU', 'SU', 'CU'], arweaveWallet, ...elsewhere })
    gate.leadTo(there.httpUrl)
    neighbour = await connect(there.httpUrl, { wallet: payer.jwk })
    sender = (await user.spawn({ module })).process
  })
  after(async () => {
    await neighbour?.close()
    await user?.close()
    for (const node of [mu, su, there]) await node?.stop()
    await gate.stop()
    await devnet?.stop()
    await rm(dir, { recursive: true, force: true })
  })
  beforeEach(() => {
    Object.assign(gate, { mode: 'open', posts: 0, refused: 0 })
  })

  /** A Process of the other network that believes what the MU of this one signs by RSA; known to Arweave. */
  async function receiver(authorities = [wallet.signer.address]): Promise<ProcessId> {
    const { process } = await neighbour.spawn({ module, authorities })
    const isThere = async () => (await fetch(`${devnet.url}/${process}`)).ok
    await eventually('the Process on Arweave', isThere, 20_000)
    return process
  }
  const sendTo = (recipient: ProcessId) =>
    user.send(sender, {
      tags: [
        { name: 'Action', value: 'Send-Ping' },
        { name: 'Recipient', value: recipient },
      ],
    })
  /** What a Process has been sent, in the other network unless asked here. */
  async function inbox(process: ProcessId, client = neighbour): Promise<readonly DataItem[]> {
    const rows: ScheduledMessage[] = []
    for await (const row of client.schedule(process, { from: 1 as Nonce })) rows.push(row)
    return rows.map(({ message }) => message).filter(message => message !== undefined)
  }
  /** Everything that a message set off, once nothing is under way any more. */
  async function outcome({ process, message }: Awaited<ReturnType<typeof sendTo>>) {
    const jobs = []
    for await (const job of user.follow(process, message)) jobs.push(job)
    const job = jobs.findLast(found => found.message === message)
    assert.ok(job)
    return job
  }

  it('takes what a Process of this network sends, once, signed by RSA, and its CU evaluates it', async () => {
    const target = await receiver()
    const sent = await sendTo(target)
    const { parts } = await outcome(sent)
    assert.deepEqual(
      parts.map(({ state, nonce, target: to }) => ({ state, nonce, to })),
      [{ state: 'pushed', nonce: undefined, to: target }],
    )
    const received = await inbox(target)
    assert.equal(received.length, 1)
    const [item] = received as [DataItem]
    assert.equal(item.signatureType, 1)
    assert.equal(item.owner, wallet.signer.address)
    assert.equal(item.id, parts[0]?.message)
    assert.equal(tagValue(item.tags, 'From-Process'), sender)
    assert.equal(tagValue(item.tags, 'Pushed-For'), sent.message)
    assert.equal(tagValue(item.tags, 'From-Nonce'), String(sent.nonce))
    const { result } = await neighbour.result(target, 1 as Nonce)
    assert.equal(result.outbox.messages[0]?.target, sender, 'it answers whom it is from')
    assert.equal(gate.posts, 1)
  })

  it('is named by a trace as the one that has the part', async () => {
    const target = await receiver()
    const sent = await sendTo(target)
    await outcome(sent)
    const { root, problems } = await user.trace(sender, sent.message)
    const [part] = root.parts
    assert.equal(part?.state, 'pushed')
    assert.match(part?.reason ?? '', new RegExp(`taken by the SU ${gate.url}/su of another network`))
    assert.deepEqual(problems, [])
  })

  it("orders a user's message that is submitted here, and shows its Assignment", async () => {
    const target = await receiver()
    const assignment = await user.send(target, { tags: [{ name: 'Action', value: 'Ping' }] })
    assert.equal(assignment.scheduler, there.record().address)
    assert.equal(assignment.nonce, 1)
    const received = await inbox(target)
    assert.deepEqual(
      received.map(({ id }) => id),
      [assignment.message],
    )
    const { state, reason } = await outcome(assignment)
    assert.equal(state, 'done')
    assert.match(reason ?? '', /of another network/)
    const { root } = await user.trace(target, assignment.message)
    assert.equal(root.ordered.state, 'done')
    await assert.rejects(user.result(target, assignment.message), error => hasCode(error, 'UNSUPPORTED'))
  })

  it('gives birth to what a Process of this network spawns there, and takes what it assigns', async () => {
    const arweave = new GatewayClient(silentTelemetry, { gatewayUrl: devnet.url })
    const script = { bytes: Buffer.from(puppet), format: 'js-quickjs-1', name: 'puppet' }
    const { process } = await user.spawn({ module: await publishModule(script, { arweave, signer: wallet.signer }) })
    const target = await receiver()
    const order = {
      ...{ Messages: [], Output: '' },
      Spawns: [
        {
          Data: 'child',
          Tags: [
            { name: 'Module', value: module },
            { name: 'Scheduler', value: there.record().address },
          ],
        },
      ],
      Assignments: [{ Processes: [target], Message: module }],
    }
    const sent = await user.send(process, { data: JSON.stringify(order) })
    const { parts } = await outcome(sent)
    assert.deepEqual(
      parts.map(({ kind, state, nonce }) => ({ kind, state, nonce })),
      ['spawn', 'assignment'].map(kind => ({ kind, state: 'pushed', nonce: undefined })),
    )
    for (const { reason } of parts) assert.match(reason ?? '', /taken by the SU .* of another network/)
    const child = parts[0]?.target as ProcessId
    const born = await neighbour.assignment(child, 0 as Nonce)
    assert.equal(born.scheduler, there.record().address)
    const [, news] = await inbox(process, user)
    assert.equal(tagValue(news?.tags ?? [], 'Process'), child, 'the parent is told')
    assert.equal((await neighbour.assignment(target, 1 as Nonce)).message, module)
    assert.deepEqual((await user.trace(process, sent.message)).problems, [])
  })

  it('gets it once, whenever the MU is restarted, and whatever wallet it has then', async () => {
    const target = await receiver()
    gate.mode = 'mute'
    const sent = await sendTo(target)
    await eventually('the SU to have it', async () => gate.posts > 0, 20_000)
    await stopMessenger()
    gate.mode = 'open'
    await startMessenger({ arweaveWallet: join(dir, 'payer.json') })
    const { parts } = await outcome(sent)
    assert.equal(parts[0]?.state, 'pushed')
    const received = await inbox(target)
    assert.deepEqual(
      received.map(({ id }) => id),
      [parts[0]?.message],
    )
    assert.ok(gate.posts > 1, 'it was sent again')
  })

  it('is tried again while it does not answer, and given up with the reason', async () => {
    await stopMessenger()
    await startMessenger({ crankAgeMs: 1_500 })
    const target = await receiver()
    gate.mode = 'dead'
    const { parts, attempts } = await outcome(await sendTo(target))
    assert.ok(gate.refused > 1, `asked ${gate.refused} times`)
    assert.ok(attempts > 1)
    assert.equal(parts[0]?.state, 'failed')
    assert.match(parts[0]?.reason ?? '', /given up: PEER_UNREACHABLE: nobody answers at the Url/)
    assert.deepEqual(await inbox(target), [])
  })

  it('is sent nothing that its Process would not believe', async () => {
    const target = await receiver([payer.signer.address])
    const { parts } = await outcome(await sendTo(target))
    assert.equal(parts[0]?.state, 'failed')
    assert.match(parts[0]?.reason ?? '', new RegExp(`no tag Authority: ${wallet.signer.address}`))
    assert.equal(gate.posts, 0)
  })

  it('is sent nothing by an MU without an RSA key, which says so', async () => {
    await stopMessenger()
    await startMessenger({ arweaveWallet: '' })
    const { parts, state } = await outcome(await sendTo(await receiver()))
    assert.equal(state, 'done')
    assert.equal(parts[0]?.state, 'failed')
    assert.match(parts[0]?.reason ?? '', /^UNSUPPORTED: .* this MU has no RSA key/)
    assert.equal(gate.posts, 0)
  })
})

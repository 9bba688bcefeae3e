import assert from 'node:assert/strict'
import { AoError } from '../../../src/lib/errors.ts'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import { type Certificate, createCertificate } from '../../../src/network/grpc/certificate.ts'
import type { Peer } from '../../../src/network/grpc/channel-pool.ts'
import { GrpcUnits } from '../../../src/network/grpc/clients.ts'
import { GrpcTunnel } from '../../../src/network/libp2p/grpc-tunnel.ts'
import type { Nonce } from '../../../src/protocol/ids.ts'
import { parseAoItem } from '../../../src/protocol/message.ts'
import { eventually } from '../../support/eventually.ts'
import { messageItem, newSigner, spawnItem, startNode, type TestNode as UnitNode } from '../grpc/support.ts'
import { stopAll, TestNode } from './test-node.ts'

describe('a unit that cannot be dialled, behind a relay', function () {
  this.timeout(60_000)
  const user = newSigner()
  let relay: TestNode
  let hidden: TestNode
  let caller: TestNode
  let unit: UnitNode
  let identity: Certificate
  let units: GrpcUnits
  let tunnels: GrpcTunnel[]
  const seen: boolean[] = []
  /** As its record has it, except where the test says otherwise. */
  const hiddenUnit = (fields: Partial<Peer> = {}): Peer => ({
    ...{ address: unit.record.address, certificate: unit.record.certificate },
    // An address of documentation: nobody is there.
    ...{ grpc: '192.0.2.1:7430', tunnelled: true, peer: hidden.host.peerId, multiaddrs: hidden.host.multiaddrs },
    ...fields,
  })

  before(async () => {
    identity = await createCertificate({ commonName: newSigner().address })
    relay = await new TestNode('relay', { relayServer: true, directory: { targetConnections: 0 } }).start()
    // It listens nowhere, as behind a firewall: whoever talks to it comes through the relay, to which it has gone itself.
    const bootstrap = [relay.multiaddr]
    hidden = new TestNode('hidden', { listen: [], bootstrap, relay: true, directory: { targetConnections: 0 } })
    caller = new TestNode('caller', { bootstrap, directory: { targetConnections: 0 } })
    const identify = (der: Uint8Array): undefined => {
      seen.push(Buffer.compare(der, identity.der) === 0)
      return undefined
    }
    unit = await startNode({ callers: { identify } })
    const { server } = unit
    const serve = { ...silentTelemetry, host: hidden.host, serve: server.inject.bind(server) }
    const none = { ...silentTelemetry, host: caller.host, serve: () => undefined }
    tunnels = [new GrpcTunnel(serve), new GrpcTunnel(none)]
    for (const tunnel of tunnels) await tunnel.start()
    await Promise.all([hidden.start(), caller.start()])
    const tunnel = tunnels[1]
    units = new GrpcUnits(silentTelemetry, { identity, tunnel, deadlines: { lookupMs: 5_000 } })
    await eventually('it has a place at the relay', () => hidden.multiaddr.includes('/p2p-circuit/'), 20_000)
  })
  after(async () => {
    await units.stop()
    for (const tunnel of tunnels) await tunnel.stop()
    await unit.server.stop()
    await stopAll([caller, hidden, relay])
  })

  it('tells its place at the relay in its record, and is found there', async () => {
    const known = await eventually(
      'the record with the place',
      () => {
        const record = caller.directory.get(hidden.address)
        return record?.multiaddrs.some(address => address.includes('/p2p-circuit/')) ? record : undefined
      },
      20_000,
    )
    assert.ok(known.multiaddrs.every(address => address.includes(relay.host.peerId)))
  })

  it('orders, evaluates and hands out a schedule, and knows who calls', async () => {
    const spawn = await spawnItem(user, unit.signer)
    const { process } = parseAoItem(spawn)
    const scheduler = units.scheduler(hiddenUnit())
    await scheduler.schedule(spawn)
    for (let i = 0; i < 200; i++)
      await scheduler.schedule(await messageItem(user, process, `${i} ${'x'.repeat(2_000)}`))
    const { result } = await units.compute(hiddenUnit()).result(process, 200 as Nonce)
    assert.deepEqual(result.output, { data: 'nonce 200' })
    let rows = 0
    for await (const row of scheduler.read(process, { from: 0 as Nonce })) assert.equal(row.assignment.nonce, rows++)
    assert.equal(rows, 201)
    assert.ok(seen.length > 0 && seen.every(Boolean), 'the certificate it shows is the caller’s')
    assert.ok(caller.host.peers.has(hidden.host.peerId))
  })

  it('carries an item of several megabytes each way', async () => {
    const spawn = await spawnItem(user, unit.signer)
    const { process } = parseAoItem(spawn)
    const scheduler = units.scheduler(hiddenUnit())
    await scheduler.schedule(spawn)
    const large = await messageItem(user, process, Buffer.alloc(5_000_000, 7))
    const { nonce } = await scheduler.schedule(large)
    for await (const row of scheduler.read(process, { from: nonce })) assert.equal(row.message?.id, large.id)
  })

  it('is not believed with another certificate than its record has, whoever carries the bytes', async () => {
    const other = await createCertificate({ commonName: newSigner().address })
    const peer = hiddenUnit({ certificate: other.der })
    const { process } = parseAoItem(await spawnItem(user, unit.signer))
    await assert.rejects(units.scheduler(peer).process(process), { code: 'PEER_UNREACHABLE' })
  })

  describe('and does not say so', () => {
    let units: GrpcUnits
    let fallbacks: number
    beforeEach(() => {
      fallbacks = 0
      const onFallback = (): void => void fallbacks++
      units = new GrpcUnits(silentTelemetry, { identity, tunnel: tunnels[1], dialMs: 500, onFallback })
    })
    afterEach(() => units.stop())

    for (const [what, grpc] of [
      ['refuses', '127.0.0.1:1'],
      ['does not answer', '192.0.2.1:7430'],
    ] as const) {
      it(`is called over a stream by itself where its endpoint ${what} a dial, and from then on at once`, async () => {
        const spawn = await spawnItem(user, unit.signer)
        const { process } = parseAoItem(spawn)
        const peer = hiddenUnit({ grpc, tunnelled: false })
        const scheduler = units.scheduler(peer)
        await scheduler.schedule(spawn) // a stream of questions
        assert.equal(fallbacks, 1)
        const began = performance.now()
        assert.equal((await scheduler.process(process)).id, spawn.id) // a call of its own
        let rows = 0
        for await (const _row of scheduler.read(process, { from: 0 as Nonce, to: 0 as Nonce })) rows++
        assert.ok(rows > 0)
        assert.ok(performance.now() - began < 500, 'no dial is waited for again')
        assert.equal(fallbacks, 1)
      })
    }

    it('is called over a stream by the first call of each kind', async () => {
      const spawn = await spawnItem(user, unit.signer)
      const { process } = parseAoItem(spawn)
      await units.scheduler(hiddenUnit()).schedule(spawn)
      const peer = hiddenUnit({ grpc: '127.0.0.1:1', tunnelled: false })
      assert.equal((await units.scheduler(peer).process(process)).id, spawn.id)
      const other = hiddenUnit({ grpc: '127.0.0.1:2', tunnelled: false })
      let rows = 0
      for await (const _row of units.scheduler(other).read(process, { from: 0 as Nonce, to: 0 as Nonce })) rows++
      assert.ok(rows > 0)
      assert.equal(fallbacks, 2)
    })
  })

  it('cannot be reached where its endpoint points and no stream leads, nor when its peer is not there', async () => {
    const { process } = parseAoItem(await spawnItem(user, unit.signer))
    const direct = units.scheduler(hiddenUnit({ tunnelled: false, multiaddrs: [] }))
    await assert.rejects(direct.process(process, { signal: AbortSignal.timeout(300) }), AoError)
    const nobody = new TestNode('nobody').host.peerId
    const gone = hiddenUnit({ peer: nobody, multiaddrs: [`${relay.multiaddr}/p2p-circuit/p2p/${nobody}`] })
    await assert.rejects(units.scheduler(gone).process(process), { code: 'PEER_UNREACHABLE' })
  })
})

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type ClientHttp2Session, type ClientHttp2Stream, connect as httpConnect } from 'node:http2'
import { connect } from 'node:net'
import { connect as tlsConnect } from 'node:tls'
import { equalBytes } from '../../../src/lib/bytes.ts'
import { AoError, hasCode } from '../../../src/lib/errors.ts'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import { type CallerLimits, ipOf } from '../../../src/network/grpc/callers.ts'
import { type Certificate, createCertificate } from '../../../src/network/grpc/certificate.ts'
import { GrpcUnits } from '../../../src/network/grpc/clients.ts'
import type { ProcessId } from '../../../src/protocol/ids.ts'
import { messageItem, newSigner, someId, spawnItem, startNode, type TestNode, until } from './support.ts'

const limits: CallerLimits = {
  stranger: { perSecond: 20, burst: 20, maxOpen: 8 },
  unit: { perSecond: 1_000, burst: 4_000, maxOpen: 64 }, // of which a call takes ten
}

describe('gRPC: who calls', () => {
  const unit = newSigner()
  const process = someId<ProcessId>(9)
  let identity: Certificate
  let node: TestNode
  let known: GrpcUnits
  let stranger: GrpcUnits
  let excess: string[]
  const ask = (units: GrpcUnits): Promise<unknown> =>
    units
      .scheduler(node.record)
      .assignment(process, 'newest')
      .then(
        () => 'answered',
        (error: unknown) => (hasCode(error, 'OVERLOADED') ? 'refused' : 'answered'),
      )
  const refusedOf = async (units: GrpcUnits, count: number): Promise<number> => {
    const outcomes: unknown[] = []
    for (let i = 0; i < count; i += 4)
      outcomes.push(...(await Promise.all(Array.from({ length: 4 }, () => ask(units)))))
    return outcomes.filter(outcome => outcome === 'refused').length
  }

  before(async () => {
    identity = await createCertificate({ commonName: unit.address })
  })
  beforeEach(async () => {
    excess = []
    node = await startNode({
      server: { callerLimits: limits, maxConnectionsPerIp: 20, requestMs: 200 },
      callers: {
        identify: der => (equalBytes(der, identity.der) ? { address: unit.address, peer: 'its peer' } : undefined),
        onOffence: (caller, offence) => excess.push(`${typeof caller === 'string' ? caller : caller.peer} ${offence}`),
      },
    })
    known = new GrpcUnits(silentTelemetry, { identity })
    stranger = new GrpcUnits(silentTelemetry)
  })
  afterEach(async () => {
    await Promise.all([known.stop(), stranger.stop()])
    await node.server.stop()
  })

  it('gives a unit a share of its own, however much strangers call', async () => {
    assert.ok((await refusedOf(stranger, 200)) >= 150)
    assert.equal(await refusedOf(known, 200), 0)
    assert.deepEqual([...new Set(excess)], ['127.0.0.1 grpc-rate'], 'what strangers do is told by their address')
  })

  it('lets nobody win a share by a certificate that no unit has', async () => {
    const made = await createCertificate({ commonName: unit.address })
    const other = new GrpcUnits(silentTelemetry, { identity: made })
    try {
      await refusedOf(stranger, 40)
      assert.ok((await refusedOf(other, 40)) >= 30, 'it shares the bucket of its address')
    } finally {
      await other.stop()
    }
  })

  it('tells which unit calls too much', async () => {
    assert.ok((await refusedOf(known, 1_500)) > 0)
    assert.equal(excess[0], 'its peer grpc-rate')
  }).timeout(30_000)

  it('hangs up for five seconds on who goes on after hundreds of refusals, and on nobody else of his address', async () => {
    const codeOf = (units: GrpcUnits): Promise<string> =>
      units
        .scheduler(node.record)
        .assignment(process, 'newest')
        .then(
          () => 'OK',
          (error: unknown) => AoError.from(error).code,
        )
    let calls = 0
    for (let code = ''; code !== 'PEER_UNREACHABLE' && calls < 2_000; calls++) code = await codeOf(stranger)
    assert.ok(calls > 500 && calls < 1_500, `after ${calls} calls`)
    assert.equal(excess.filter(what => what === '127.0.0.1 grpc-cut').length, 1, 'and it is told once')
    assert.equal(await codeOf(stranger), 'PEER_UNREACHABLE', 'a new connection is closed as well')
    assert.equal(await codeOf(known), 'UNKNOWN_PROCESS')
    const began = Date.now()
    const back = async (): Promise<boolean> => (await codeOf(stranger)) !== 'PEER_UNREACHABLE'
    while (!(await back()) && Date.now() - began < 15_000) await new Promise(resolve => setTimeout(resolve, 200))
    const ms = Date.now() - began
    assert.ok(ms > 3_000 && ms < 12_000, `back after ${ms} ms`)
  }).timeout(40_000)

  it('slows a stream down to its rate and loses nothing of it', async () => {
    const user = newSigner()
    const spawn = await spawnItem(user, node.signer)
    const scheduler = stranger.scheduler(node.record)
    await scheduler.schedule(spawn)
    const items = await Promise.all(
      Array.from({ length: 40 }, (_, i) => messageItem(user, spawn.id as never, `message ${i}`)),
    )
    const began = Date.now()
    const given = await Promise.all(items.map(item => scheduler.schedule(item)))
    assert.deepEqual(
      given.map(({ nonce }) => nonce).sort((a, b) => a - b),
      items.map((_, i) => i + 1),
    )
    assert.ok(Date.now() - began >= 900, 'twenty above the burst at twenty a second')
    assert.ok(excess.includes('127.0.0.1 grpc-held'), 'and it is told that it was held back')
  })

  it('closes connections above its limit for one address, and serves on', async () => {
    const sockets = Array.from({ length: 60 }, () => connect({ port: node.server.port, host: '127.0.0.1' }))
    for (const socket of sockets) socket.on('error', () => undefined)
    await until(() => sockets.filter(socket => socket.closed).length >= 40, 'those above are closed')
    for (const socket of sockets) socket.destroy()
    await until(() => sockets.every(socket => socket.closed), 'all are closed')
    assert.equal(await ask(known), 'answered')
    const told = excess.filter(what => what === '127.0.0.1 grpc-connections')
    assert.ok(told.length >= 40, `${told.length} of 40 are told`)
  })

  it('tells of connections that speak no TLS', async () => {
    const socket = connect({ port: node.server.port, host: '127.0.0.1' }, () => socket.write('GET / HTTP/1.1\r\n\r\n'))
    socket.on('error', () => undefined)
    await until(() => excess.includes('127.0.0.1 grpc-handshake'), 'it is told')
    socket.destroy()
  })

  describe('whose requests do not come', () => {
    let session: ClientHttp2Session
    const begin = (): { readonly request: ClientHttp2Stream; status(): string } => {
      const request = session.request({
        ...{ ':method': 'POST', ':path': '/ao.v1.Node/ListUnits', 'content-type': 'application/grpc', te: 'trailers' },
      })
      let status = ''
      const read = (headers: Record<string, unknown>): void => {
        status = String(headers['grpc-status'] ?? status)
      }
      request.on('error', () => undefined)
      request.on('trailers', read)
      request.on('response', read)
      request.resume()
      return { request, status: () => status }
    }
    beforeEach(async () => {
      const socket = tlsConnect({
        ...{ host: '127.0.0.1', port: node.server.port, servername: 'aonet', ALPNProtocols: ['h2'] },
        rejectUnauthorized: false,
      })
      await once(socket, 'secureConnect')
      session = httpConnect('https://aonet', { createConnection: () => socket })
    })
    afterEach(() => session.destroy())

    it('is refused before it is read where its frame is too large', async () => {
      const { request, status } = begin()
      request.write(Buffer.from([0, 0x7f, 0xff, 0xff, 0xff])) // says that 2 GiB follow
      await until(() => status() === '8', 'it is refused')
      assert.deepEqual(excess, ['127.0.0.1 grpc-too-large'])
      assert.equal(await ask(known), 'answered')
    })

    it('is given up after a while, and holds no more places than a caller has', async () => {
      const held = Array.from({ length: limits.stranger.maxOpen + 3 }, begin)
      for (const { request } of held) request.write(Buffer.from([0, 0])) // and then nothing
      const ended = (status: string): number => held.filter(one => one.status() === status).length
      await until(() => ended('8') === 3, 'those above its number are refused at once')
      assert.equal(await ask(known), 'answered')
      await until(() => ended('4') === limits.stranger.maxOpen, 'the others are given up')
      const count = (offence: string): number => excess.filter(what => what === `127.0.0.1 ${offence}`).length
      assert.deepEqual({ open: count('grpc-open'), slow: count('grpc-slow') }, { open: 3, slow: 8 })
    })
  })

  it('asks strangers of a private network for its token, and units for their certificate alone', async () => {
    const callers = {
      memberToken: 'the token',
      identify: (der: Uint8Array) =>
        equalBytes(der, identity.der) ? { address: unit.address, peer: 'its peer' } : undefined,
    }
    const closed = await startNode({ callers })
    const member = new GrpcUnits(silentTelemetry, { memberToken: 'the token' })
    const liar = new GrpcUnits(silentTelemetry, { memberToken: 'the tokem' })
    const codeOf = (units: GrpcUnits): Promise<string> =>
      units
        .scheduler(closed.record)
        .process(process)
        .then(
          () => 'OK',
          (error: unknown) => AoError.from(error).code,
        )
    try {
      const codes = await Promise.all([stranger, liar, member, known].map(codeOf))
      assert.deepEqual(codes, ['UNAUTHENTICATED', 'UNAUTHENTICATED', 'UNKNOWN_PROCESS', 'UNKNOWN_PROCESS'])
    } finally {
      await Promise.all([member.stop(), liar.stop(), closed.server.stop()])
    }
  })

  it('reads addresses as one caller: an IPv6 host is its first half', () => {
    assert.equal(ipOf('127.0.0.1:5000'), '127.0.0.1')
    assert.equal(ipOf('::ffff:10.0.0.7:5000'), '10.0.0.7')
    assert.equal(ipOf('2001:db8:1:2:3:4:5:6:5000'), '2001:db8:1:2')
    assert.equal(ipOf('2001:db8::7:5000'), '2001:db8:0:0')
    assert.equal(ipOf('::1:5000'), '0:0:0:0')
  })
})

import assert from 'node:assert/strict'
import { Client, Metadata, status } from '@grpc/grpc-js'
import { equalBytes } from '../../../src/lib/bytes.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { silentMetrics, silentTelemetry } from '../../../src/lib/telemetry.ts'
import type { CallerLimits } from '../../../src/network/grpc/callers.ts'
import { type Certificate, createCertificate } from '../../../src/network/grpc/certificate.ts'
import { GrpcUnits } from '../../../src/network/grpc/clients.ts'
import { ComputeService } from '../../../src/network/grpc/generated/ao/v1/compute.ts'
import { MessengerService } from '../../../src/network/grpc/generated/ao/v1/messenger.ts'
import { NodeService } from '../../../src/network/grpc/generated/ao/v1/node.ts'
import { SchedulerService } from '../../../src/network/grpc/generated/ao/v1/scheduler.ts'
import { pinnedCredentials } from '../../../src/network/grpc/pinned-credentials.ts'
import { PeerLedger, strangersLedger } from '../../../src/network/libp2p/peer-ledger.ts'
import type { ProcessId } from '../../../src/protocol/ids.ts'
import { newSigner, someId, startNode, type TestNode, until } from './support.ts'

interface Method {
  readonly path: string
  readonly requestStream: boolean
  readonly responseStream: boolean
}

/** Every RPC there is, also those that gRPC brings along. */
const methods: readonly Method[] = [
  ...[SchedulerService, ComputeService, MessengerService, NodeService].flatMap(service => Object.values(service)),
  { path: '/grpc.health.v1.Health/Check', requestStream: false, responseStream: false },
  { path: '/grpc.health.v1.Health/Watch', requestStream: false, responseStream: true },
  { path: '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo', requestStream: true, responseStream: true },
]
const limit = { perSecond: 10, burst: 20, maxOpen: 10_000 } // so that it is the rate alone that refuses
const limits: CallerLimits = { stranger: limit, unit: { perSecond: 100, burst: 200, maxOpen: 10_000 } } // a call counts as ten
/** Ten times what a burst allows, recorded before: nothing at all, which each of our messages may be. */
const calls = 10 * limit.burst
const empty = Buffer.alloc(0)

describe('floods of every RPC', function () {
  this.timeout(60_000)
  let node: TestNode
  let honest: GrpcUnits
  let flooder: Certificate
  let ledger: PeerLedger
  let strangers: PeerLedger
  const clients: Client[] = []

  // A node for each: a bucket that is full, and nobody cut off for what came before.
  beforeEach(async () => {
    flooder = await createCertificate({ commonName: newSigner().address })
    const neighbour = await createCertificate({ commonName: newSigner().address })
    ledger = new PeerLedger(systemClock, () => 10)
    strangers = strangersLedger(systemClock, silentMetrics)
    node = await startNode({
      server: { callerLimits: limits },
      callers: {
        identify: der => {
          if (equalBytes(der, neighbour.der)) return { address: 'neighbour', peer: 'neighbour' }
          return equalBytes(der, flooder.der) ? { address: 'flooder', peer: 'flooder' } : undefined
        },
        isRefused: ({ peer }) => ledger.isBanned(peer),
        onOffence: (who, offence) =>
          typeof who === 'string' ? strangers.blame(who, offence) : ledger.blame(who.peer, offence),
      },
    })
    honest = new GrpcUnits(silentTelemetry, { identity: neighbour })
  })
  afterEach(async () => {
    for (const client of clients.splice(0)) client.close()
    await honest.stop()
    await node.server.stop()
  })

  const open = (identity?: Certificate): Client => {
    const client = new Client(`127.0.0.1:${node.server.port}`, pinnedCredentials(node.certificate.der, identity), {
      'grpc.ssl_target_name_override': 'aonet',
      'grpc.use_local_subchannel_pool': 1,
    })
    clients.push(client)
    return client
  }
  /** One honest question while others flood. */
  const answered = async (): Promise<void> => {
    const process = someId<ProcessId>(9)
    await assert.rejects(honest.scheduler(node.record).process(process), { code: 'UNKNOWN_PROCESS' })
  }
  /** What may get through in that time. */
  const allowed = (ms: number): number => limit.burst + Math.ceil((ms * limit.perSecond) / 1000) + 1

  for (const method of methods.filter(({ requestStream }) => !requestStream)) {
    it(`${method.path} at ten times its limit is refused by its caller's rate, and told`, async () => {
      const client = open(flooder)
      const began = Date.now()
      const flood = Promise.all(Array.from({ length: calls }, () => once(client, method)))
      await answered()
      const codes = await flood
      const through = codes.filter(code => code !== status.RESOURCE_EXHAUSTED && code !== status.PERMISSION_DENIED)
      assert.ok(through.length <= allowed(Date.now() - began), `${through.length} of ${calls} got through`)
      const [seen] = ledger.list()
      assert.equal(seen?.peer, 'flooder')
      assert.ok((seen?.offences['grpc-rate'] ?? 0) >= calls - through.length - 1, JSON.stringify(seen))
      assert.ok(seen.points >= 30, `${seen.points} points`)
    })
  }

  for (const method of methods.filter(({ requestStream }) => requestStream)) {
    it(`${method.path} at ten times its limit is held back to its caller's rate, and told`, async () => {
      const stream = open(flooder).makeBidiStreamRequest(
        method.path,
        bytes => bytes as Buffer,
        bytes => bytes,
      )
      let answers = 0
      stream.on('data', () => answers++)
      stream.on('error', () => undefined)
      const began = Date.now()
      for (let i = 0; i < 10 * limits.unit.burst; i++) stream.write(question(method, i + 1))
      await answered()
      await until(() => ledger.list().some(({ offences }) => (offences['grpc-held'] ?? 0) > 0), 'it is held back')
      await new Promise(resolve => setTimeout(resolve, 300))
      const { burst, perSecond } = limits.unit
      const allowed = burst + Math.ceil(((Date.now() - began) * perSecond) / 1000) + 1
      assert.ok(answers <= allowed, `${answers} were answered, ${allowed} may`)
      assert.ok(answers >= 1, 'and those within it are answered')
      assert.equal(ledger.list()[0]?.peer, 'flooder')
      stream.cancel()
    })
  }

  it('by a stranger are refused and shown by his address, and nobody is banned for his neighbour at it', async () => {
    const client = open()
    const method = methods.find(({ path }) => path.endsWith('/GetInfo')) as Method
    // Not all at once: who is refused 500 times in one go is cut off with hardly more points than lead to a ban.
    for (let i = 0; i < 4; i++) {
      await Promise.all(Array.from({ length: calls }, () => once(client, method)))
      await new Promise(resolve => setTimeout(resolve, 300))
    }
    const [seen] = strangers.list()
    await answered()
    assert.equal(seen?.peer, '127.0.0.1')
    assert.ok((seen?.offences['grpc-rate'] ?? 0) >= 500 && seen.points > 100, JSON.stringify(seen))
    assert.equal(seen.bannedUntil, 0)
  })

  it('go on until the unit is banned: from then on it is refused whatever it asks', async () => {
    const client = open(flooder)
    const method = methods.find(({ path }) => path.endsWith('/GetInfo')) as Method
    for (let i = 0; i < 8 && !ledger.isBanned('flooder'); i++) {
      await Promise.all(Array.from({ length: calls }, () => once(client, method)))
    }
    assert.ok(ledger.isBanned('flooder'), JSON.stringify(ledger.list()))
    // What was refused hundreds of times is not even answered any more.
    assert.ok([status.PERMISSION_DENIED, status.UNAVAILABLE].includes(await once(client, method)))
    await answered()
  })
})

/** The status that one call ends with. */
const once = (client: Client, { path, responseStream }: Method): Promise<number> =>
  new Promise(resolve => {
    const deadline = { deadline: Date.now() + 20_000 }
    const same = (bytes: Buffer): Buffer => bytes
    if (!responseStream) {
      client.makeUnaryRequest(path, same, same, empty, new Metadata(), deadline, error => resolve(error?.code ?? 0))
      return
    }
    const stream = client.makeServerStreamRequest(path, same, same, empty, new Metadata(), deadline)
    stream.once('data', () => {
      resolve(0)
      stream.cancel()
    })
    stream.on('error', error => resolve((error as { code?: number }).code ?? -1))
    stream.on('end', () => resolve(0))
  })

/** A tag and what nobody can answer but by an error: an item of one byte, or a question about nothing. */
const question = ({ path }: Method, tag: number): Buffer => {
  if (path.includes('reflection')) return empty
  const about = path.endsWith('/ResultStream') ? [0x12, 0x00] : [0x12, 0x01, 0x01]
  return Buffer.from([0x08, (tag & 0x7f) | 0x80, tag >> 7, ...about])
}

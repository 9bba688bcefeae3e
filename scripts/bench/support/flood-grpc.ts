import { equalBytes, sha256, toHex } from '../../../src/lib/bytes.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import { createCertificate } from '../../../src/network/grpc/certificate.ts'
import { GrpcUnits } from '../../../src/network/grpc/clients.ts'
import { ComputeService } from '../../../src/network/grpc/generated/ao/v1/compute.ts'
import { MessengerService } from '../../../src/network/grpc/generated/ao/v1/messenger.ts'
import { NodeService } from '../../../src/network/grpc/generated/ao/v1/node.ts'
import { SchedulerService } from '../../../src/network/grpc/generated/ao/v1/scheduler.ts'
import { PeerLedger } from '../../../src/network/libp2p/peer-ledger.ts'
import type { ProcessId } from '../../../src/protocol/ids.ts'
import { newSigner, someId, startNode } from '../../../test/integration/grpc/support.ts'
import { Flooder, type Siege } from './flooder.ts'

const services = {
  Scheduler: SchedulerService,
  Compute: ComputeService,
  Messenger: MessengerService,
  Node: NodeService,
}
/** A tenth of the flood: 200 calls a second, each of which counts as ten messages of a stream. */
const callsPerSecond = 200
const limit = { perSecond: 10 * callsPerSecond, burst: 20 * callsPerSecond, maxOpen: 1024 }

/** A unit that calls every RPC of a service in turn, at ten times its rate, beside one that asks now and then. */
export async function* grpcFloods(): AsyncIterable<Siege> {
  const ledger = new PeerLedger(systemClock, () => 100)
  const neighbour = await createCertificate({ commonName: newSigner().address })
  const node = await startNode({
    server: { callerLimits: { stranger: limit, unit: limit } },
    callers: {
      identify: der => {
        const name = equalBytes(der, neighbour.der) ? 'honest' : toHex(sha256(der))
        return { address: name, peer: name }
      },
      isRefused: ({ peer }) => ledger.isBanned(peer),
      onOffence: (who, offence) => typeof who !== 'string' && ledger.blame(who.peer, offence),
    },
  })
  const units = new GrpcUnits(silentTelemetry, { identity: neighbour })
  const process = someId<ProcessId>(9)
  const honest = (): Promise<void> =>
    units
      .scheduler(node.record)
      .process(process)
      .then(
        () => undefined,
        () => undefined,
      )
  try {
    for (const [name, service] of Object.entries(services)) {
      const paths = Object.values(service).flatMap(({ path, requestStream }) => (requestStream ? [] : [path]))
      const certificate = Buffer.from(node.certificate.der).toString('base64')
      const plan = { kind: 'grpc', port: node.server.port, certificate, paths, perSecond: 10 * callsPerSecond } as const
      yield { name: `gRPC: ${name}`, prepare: () => Flooder.prepare(plan), honest }
    }
  } finally {
    await units.stop()
    await node.server.stop()
  }
}

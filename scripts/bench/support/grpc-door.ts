// One gRPC server as a process of its own: ours with units that answer at once, or bare grpc-js with the same answers.
import { Server, type ServiceDefinition } from '@grpc/grpc-js'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import { bind } from '../../../src/network/grpc/bind.ts'
import { createCertificate } from '../../../src/network/grpc/certificate.ts'
import { MessengerService, type SubmitStreamRequest } from '../../../src/network/grpc/generated/ao/v1/messenger.ts'
import { GrpcServer } from '../../../src/network/grpc/server.ts'
import type { Compute, Messenger, Scheduler } from '../../../src/ports/units.ts'
import type { Assignment } from '../../../src/protocol/assignment.ts'
import { generateKey, signerFromJwk } from '../../../src/protocol/keys.ts'

const answer = new Uint8Array(900).fill(5)
const signer = signerFromJwk(generateKey('ed25519'))
const certificate = await createCertificate({ commonName: signer.address })
const stop = process.argv[2] === 'raw' ? await raw() : await ours()
process.once('disconnect', () => void stop())

async function raw(): Promise<() => Promise<void>> {
  const server = new Server({ 'grpc.max_receive_message_length': 12 * 1024 * 1024 })
  server.addService(MessengerService as unknown as ServiceDefinition, {
    submit: (_call: unknown, callback: (error: null, value: unknown) => void) => callback(null, { assignment: answer }),
    crank: () => undefined,
    follow: () => undefined,
    submitStream: (stream: {
      on(event: string, listener: (request: SubmitStreamRequest) => void): void
      write(value: unknown): void
      end(): void
    }) => {
      stream.on('data', ({ tag }) =>
        stream.write({ tag, outcome: { $case: 'assignment', value: answer }, more: [], takesMore: false }),
      )
      stream.on('end', () => stream.end())
    },
  })
  const port = await bind(server, { host: '127.0.0.1', port: 0, certificate })
  tell(port)
  return async () => server.forceShutdown()
}

async function ours(): Promise<() => Promise<void>> {
  const assignment = { raw: answer } as Assignment
  const units = {
    messenger: { submit: async () => assignment } as unknown as Messenger,
    scheduler: { schedule: async () => assignment } as unknown as Scheduler,
    compute: undefined as Compute | undefined,
  }
  const node = {
    ...{ record: () => answer, version: 'bench', network: 'testnet', arweave: '', status: async () => ({}) },
    records: () => [],
  }
  const limit = { perSecond: 1_000_000, burst: 1_000_000, maxOpen: 10_000 }
  const server = new GrpcServer(
    { ...silentTelemetry, units, node },
    { host: '127.0.0.1', port: 0, certificate, callerLimits: { stranger: limit, unit: limit } },
  )
  await server.start()
  tell(server.port)
  return () => server.stop()
}

function tell(port: number): void {
  process.send?.({ port, certificate: Buffer.from(certificate.der).toString('base64') })
}

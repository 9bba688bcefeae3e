import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { Server, ServerCredentials, type ServiceDefinition } from '@grpc/grpc-js'
import { AoError } from '../../../src/lib/errors.ts'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import { type Certificate, createCertificate } from '../../../src/network/grpc/certificate.ts'
import {
  SchedulerService,
  type ScheduleStreamRequest,
  type ScheduleStreamResponse,
} from '../../../src/network/grpc/generated/ao/v1/scheduler.ts'
import { GrpcServer } from '../../../src/network/grpc/server.ts'
import type { Compute, Messenger, Scheduler } from '../../../src/ports/units.ts'
import type { Signer } from '../../../src/protocol/keys.ts'

/** What the client's process is asked to do. `answer` is what it expects back; empty for real Assignments. */
export interface Errand {
  readonly endpoint: string
  readonly address: string
  /** DER, base64. */
  readonly certificate: string
  /** Signed messages, each with its length before it. */
  readonly file: string
  readonly from: number
  readonly to: number
  readonly submitters: number
  readonly raw: boolean
}
export interface Ran {
  readonly ms: number
  /** Milliseconds of processor time of the client. */
  readonly cpu: number
}

/** A process of its own that submits over gRPC, as an MU on another machine would. */
export class ClientProcess {
  readonly #child: ChildProcess

  constructor() {
    const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
    this.#child = fork(fileURLToPath(new URL(`./su-client.${ending}`, import.meta.url)), {
      stdio: ['ignore', 2, 2, 'ipc'],
    })
  }

  async run(errand: Errand): Promise<Ran> {
    this.#child.send(errand)
    const [ran] = (await once(this.#child, 'message')) as [Ran]
    return ran
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return
    this.#child.disconnect()
    await once(this.#child, 'exit')
  }
}

export async function writeMessages(file: string, messages: readonly Uint8Array[]): Promise<void> {
  const parts = messages.flatMap(bytes => {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(bytes.length)
    return [length, bytes]
  })
  await writeFile(file, Buffer.concat(parts))
}

export interface Door {
  readonly endpoint: string
  readonly certificate: Certificate
  stop(): Promise<void>
}

/** The SU's real gRPC door. */
export async function openDoor(signer: Signer, scheduler: Scheduler): Promise<Door> {
  const certificate = await createCertificate({ commonName: signer.address })
  const absent = async (): Promise<never> => {
    throw new AoError('UNSUPPORTED', 'not in this bench')
  }
  const units = { scheduler, compute: { result: absent } as unknown as Compute, messenger: {} as unknown as Messenger }
  const node = {
    ...{ record: () => new Uint8Array(0), records: () => [], status: async () => ({}) },
    ...{ version: '0', network: 'bench', arweave: '' },
  }
  const server = new GrpcServer({ ...silentTelemetry, units, node }, { host: '127.0.0.1', port: 0, certificate })
  await server.start()
  return { endpoint: `127.0.0.1:${server.port}`, certificate, stop: () => server.stop() }
}

/** A door behind which nothing happens: each request is answered with the same bytes. What an exchange itself costs. */
export async function openEcho(signer: Signer, assignment: Uint8Array): Promise<Door> {
  const certificate = await createCertificate({ commonName: signer.address })
  const server = new Server({ 'grpc.max_receive_message_length': 12 * 1024 * 1024 })
  const { scheduleStream } = SchedulerService
  server.addService({ scheduleStream } as unknown as ServiceDefinition, {
    scheduleStream: (
      call: import('@grpc/grpc-js').ServerDuplexStream<ScheduleStreamRequest, ScheduleStreamResponse>,
    ) => {
      call.on('data', ({ tag }: ScheduleStreamRequest) =>
        call.write({ tag, outcome: { $case: 'assignment', value: assignment }, more: [], takesMore: false }),
      )
      call.on('end', () => call.end())
    },
  })
  const { keyPem, certPem } = certificate
  const keys = [{ private_key: Buffer.from(keyPem), cert_chain: Buffer.from(certPem) }]
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createSsl(null, keys), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  )
  return { endpoint: `127.0.0.1:${port}`, certificate, stop: async () => server.forceShutdown() }
}

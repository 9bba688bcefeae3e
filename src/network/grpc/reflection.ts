import { EventEmitter } from 'node:events'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  type MethodDefinition,
  type Server,
  type ServerDuplexStream,
  type ServiceDefinition,
  status,
} from '@grpc/grpc-js'

type RawCall = ServerDuplexStream<Buffer, Buffer>
type Method = MethodDefinition<unknown, unknown>
/** How the reflection library answers, which sees a stream of messages. */
interface Answering {
  readonly method: Method
  readonly handle: (stream: EventEmitter & { write(message: unknown): void; end(): void }) => void
}

/**
 * Lets tools such as grpcurl ask the server what it offers, from the .proto files that come with the package. Those are
 * read, and what reads them is loaded, when the first tool asks: no node waits for it to start.
 */
export function addReflection(server: Server): void {
  let loading: Promise<ReadonlyMap<string, Answering>> | undefined
  for (const version of ['v1', 'v1alpha']) {
    const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`
    const answer = async (call: RawCall): Promise<void> => {
      loading ??= load()
      const answering = (await loading).get(path)
      if (answering === undefined) throw new TypeError(`the reflection library does not know ${path}`)
      relay(call, answering)
    }
    const serverReflectionInfo = (call: RawCall): void => {
      answer(call).catch((error: Error) => call.emit('error', { code: status.INTERNAL, message: error.message }))
    }
    server.addService(rawService(path), { serverReflectionInfo })
  }
}

/** The library's stream, with the bytes of the real one made into messages and back. */
function relay(call: RawCall, { method, handle }: Answering): void {
  const stream = Object.assign(new EventEmitter(), {
    write: (message: unknown) => void call.write(method.responseSerialize(message)),
    end: () => void call.end(),
  })
  handle(stream)
  call.on('data', (bytes: Buffer) => {
    try {
      stream.emit('data', method.requestDeserialize(bytes))
    } catch {
      call.emit('error', { code: status.INVALID_ARGUMENT, message: 'not a reflection request' })
    }
  })
  call.on('end', () => stream.emit('end'))
}

async function load(): Promise<ReadonlyMap<string, Answering>> {
  const { load: read } = await import('@grpc/proto-loader')
  const { ReflectionService } = await import('@grpc/reflection')
  const { protoPath: healthProto } = await import('grpc-health-check')
  const root = protoRoot()
  const files = services.map(name => join(root, 'ao/v1', `${name}.proto`))
  const definition = await read([...files, healthProto], { includeDirs: [root], keepCase: true })
  const found = new Map<string, Answering>()
  const collector = {
    addService: (
      service: Readonly<Record<string, Method>>,
      handlers: Readonly<Record<string, Answering['handle']>>,
    ) => {
      const [method] = Object.values(service)
      const [handle] = Object.values(handlers)
      if (method !== undefined && handle !== undefined) found.set(method.path, { method, handle })
    },
  }
  new ReflectionService(definition).addToServer(collector as never)
  return found
}

const same = (bytes: Buffer): Buffer => bytes
const rawService = (path: string): ServiceDefinition => ({
  serverReflectionInfo: {
    ...{ path, requestStream: true, responseStream: true },
    ...{ requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same },
  },
})

const services = ['scheduler', 'compute', 'messenger', 'node']

/** `proto/` of the package, whether this runs from src or from dist. */
function protoRoot(): string {
  for (let dir = dirname(fileURLToPath(import.meta.url)); dir !== dirname(dir); dir = dirname(dir)) {
    if (existsSync(join(dir, 'proto/ao/v1/scheduler.proto'))) return join(dir, 'proto')
  }
  throw new TypeError('the package lacks its folder proto')
}

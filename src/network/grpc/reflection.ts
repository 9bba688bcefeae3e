import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Server } from '@grpc/grpc-js'
import { load } from '@grpc/proto-loader'
import { ReflectionService } from '@grpc/reflection'
import { protoPath as healthProto } from 'grpc-health-check'

/** Lets tools such as grpcurl ask the server what it offers, from the .proto files that come with the package. */
export async function addReflection(server: Server): Promise<void> {
  const root = protoRoot()
  const files = services.map(name => join(root, 'ao/v1', `${name}.proto`))
  const definition = await load([...files, healthProto], { includeDirs: [root], keepCase: true })
  new ReflectionService(definition).addToServer(server)
}

const services = ['scheduler', 'compute', 'messenger', 'node']

/** `proto/` of the package, whether this runs from src or from dist. */
function protoRoot(): string {
  for (let dir = dirname(fileURLToPath(import.meta.url)); dir !== dirname(dir); dir = dirname(dir)) {
    if (existsSync(join(dir, 'proto/ao/v1/scheduler.proto'))) return join(dir, 'proto')
  }
  throw new TypeError('the package lacks its folder proto')
}

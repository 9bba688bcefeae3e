import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js'
import { AoError } from '../../lib/errors.ts'

/**
 * The same service, but bytes that are no protobuf reach the handler, which answers `INVALID_ARGUMENT`. Left alone,
 * grpc-js answers INTERNAL: as if it were our mistake.
 */
export function tolerant<Service extends ServiceDefinition>(service: Service): Service {
  const methods = Object.entries(service) as [string, MethodDefinition<unknown, unknown>][]
  return Object.fromEntries(
    methods.map(([name, method]) => [name, { ...method, requestDeserialize: guarded(method.requestDeserialize) }]),
  ) as Service
}

/** @throws AoError `INVALID_ARGUMENT` if the request's bytes could not be read. */
export function wellFormed<Req>(request: Req): Req {
  if (!(request instanceof Malformed)) return request
  throw new AoError('INVALID_ARGUMENT', 'the request is not the protobuf message of this method', {}, { hint })
}

const hint = 'Build the request from the .proto files of this version of aonet.'

class Malformed {}
const malformed = new Malformed()

const guarded =
  (decode: (bytes: Buffer) => unknown) =>
  (bytes: Buffer): unknown => {
    try {
      return decode(bytes)
    } catch {
      return malformed // said to the caller by `wellFormed`
    }
  }

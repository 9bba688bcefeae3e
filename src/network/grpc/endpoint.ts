import { AoError } from '../../lib/errors.ts'
import { type Address, parseAddress } from '../../protocol/ids.ts'

export interface Endpoint {
  readonly host: string
  readonly port: number
  /** Whose node is expected there. */
  readonly address: Address | undefined
}

/**
 * Reads `host:port`, `[ipv6]:port` and `<address>@host:port`. Nothing else: records come from strangers, and grpc-js
 * would take `unix:` paths and proxies for targets too.
 *
 * @throws AoError `INVALID_ARGUMENT`
 */
export function parseEndpoint(text: string): Endpoint {
  const [, address, ipv6, name, digits] = endpointPattern.exec(text) ?? []
  const host = ipv6 ?? name
  const port = Number(digits)
  if (host === undefined || port < 1 || port > 65_535) {
    throw new AoError('INVALID_ARGUMENT', 'not an endpoint', { endpoint: text.slice(0, 128) }, { hint })
  }
  return { host, port, address: address === undefined ? undefined : parseAddress(address) }
}

/** As grpc-js takes it. */
export const toTarget = ({ host, port }: Endpoint): string =>
  host.includes(':') ? `dns:[${host}]:${port}` : `dns:${host}:${port}`

const endpointPattern = /^(?:([A-Za-z0-9_-]+)@)?(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]{1,253})):([0-9]{1,5})$/
const hint = 'Write host:port or <address>@host:port, such as 127.0.0.1:7430.'

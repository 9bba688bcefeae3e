import { networkInterfaces } from 'node:os'

/**
 * What others dial to reach a server that listens on `host`. One that listens on all addresses is reached at the first of
 * this machine that is not its loopback, IPv4 before IPv6.
 */
export function reachableHost(host: string): string {
  if (host !== '0.0.0.0' && host !== '::') return host
  const outside = Object.values(networkInterfaces())
    .flatMap(addresses => addresses ?? [])
    .filter(({ internal, family, address }) => !internal && (family === 'IPv4' || !/^fe80:/i.test(address)))
  const first = outside.find(({ family }) => family === 'IPv4') ?? outside[0]
  return first?.address ?? '127.0.0.1'
}

/** `host:port`, an IPv6 address in brackets. */
export const hostAndPort = (host: string, port: number): string => `${host.includes(':') ? `[${host}]` : host}:${port}`

/** `/ip4/<host>/tcp/<port>`, or `/ip6/…`. */
export const tcpMultiaddr = (host: string, port: number): string =>
  `/${host.includes(':') ? 'ip6' : 'ip4'}/${host}/tcp/${port}`

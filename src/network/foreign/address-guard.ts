import { lookup } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import { AoError } from '../../lib/errors.ts'

/** Addresses that mean this machine, its neighbours, or nobody (IANA's special-purpose registries). */
const special4 = new BlockList()
const special6 = new BlockList() // apart: one list would take every IPv4 address for a mapped one
for (const [net, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const) {
  special4.addSubnet(net, prefix, 'ipv4')
}
// With those that carry an IPv4 address inside: mapped, NAT64, 6to4, Teredo.
for (const [net, prefix] of [
  ['::', 96],
  ['::ffff:0:0', 96],
  ['64:ff9b::', 32],
  ['100::', 64],
  ['2001::', 32],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['fc00::', 7],
  ['fe80::', 9],
  ['ff00::', 8],
] as const) {
  special6.addSubnet(net, prefix, 'ipv6')
}

/** Is it an address of the public internet? */
export function isPublic(address: string): boolean {
  const family = isIP(address)
  if (family === 4) return !special4.check(address, 'ipv4')
  return family === 6 && !special6.check(address, 'ipv6')
}

/**
 * A URL out of somebody else's signed item, before a request goes there.
 *
 * @throws AoError `NOT_ALLOWED` unless it is http or https, without a password, and names no private address outright.
 */
export function assertAllowed(url: string, { allowPrivate }: { readonly allowPrivate: boolean }): URL {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol)) throw refused(url, 'it is not an http or https URL')
  if (parsed.username !== '' || parsed.password !== '') throw refused(url, 'it carries a password')
  const host = parsed.hostname.replace(/^\[|\]$/g, '')
  if (!allowPrivate && isIP(host) !== 0 && !isPublic(host)) throw refused(url, 'its address is a private one')
  return parsed
}

/** Resolves names for a connection, which then goes to the address that was looked at: no second answer can differ. */
export const publicLookup: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, found) => {
    if (error !== null) return callback(error, [])
    if (!found.every(({ address }) => isPublic(address))) {
      return callback(refused(hostname, 'its name leads to a private address'), [])
    }
    const [first] = found
    if (options.all === true || first === undefined) return callback(null, found)
    callback(null, first.address, first.family)
  })
}

const refused = (url: string, why: string): AoError =>
  new AoError(
    'NOT_ALLOWED',
    `the Url of the Scheduler-Location is not gone to: ${why}`,
    { url: url.slice(0, 200) },
    { hint: 'Its scheduler has to publish a public http or https URL.' },
  )

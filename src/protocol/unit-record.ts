import { AoError } from '../lib/errors.ts'
import type { DataItem, Draft } from './data-item.ts'
import { type Address, parseNonce } from './ids.ts'
import { hasTag, requireTag, type Tag, tagsOf, tagValue, tagValues } from './tags.ts'

export type UnitRole = 'MU' | 'SU' | 'CU'
export const unitRoles: readonly UnitRole[] = ['MU', 'SU', 'CU']

/** A node's signed advertisement: who it is, what it does and where. */
export interface UnitRecord {
  /** Who signed: the node's AO address, which is what `Scheduler` and `Authority` tags name. */
  readonly address: Address
  readonly roles: readonly UnitRole[]
  /** libp2p PeerId, and multiaddrs that end in it. */
  readonly peer: string
  readonly multiaddrs: readonly string[]
  /** `host:port` of the gRPC services. */
  readonly grpc: string
  /** Whether its gRPC endpoint cannot be dialled from everywhere, and it is called over a stream to its peer instead. */
  readonly tunnelled?: boolean | undefined
  /** DER of the TLS certificate that callers pin. */
  readonly certificate: Uint8Array
  /** Hash of the network parameters. */
  readonly network: string
  /** Milliseconds since the Unix epoch: a record with a later `issuedAt` replaces an earlier one. */
  readonly issuedAt: number
  /** Milliseconds since the Unix epoch. */
  readonly expiresAt: number
  /** Module-Formats that its CU evaluates. */
  readonly formats: readonly string[]
  /**
   * Where the unit key is not the peer's own: the peer key's Ed25519 signature over `peerBinding`, in base64url. It shows
   * that the peer agrees to speak for the unit.
   */
  readonly peerSignature?: string | undefined
  /** How busy it says it is, in percent. */
  readonly load?: number | undefined
  /** The first characters of the ids of some Processes that its CU has live: where asking is cheapest. A hint. */
  readonly warm?: readonly string[] | undefined
  /** Which start of the unit's key speaks here; an SU that is not the only one with its key finds out by it. */
  readonly session?: Session | undefined
  /** The exact signed bytes. */
  readonly raw: Uint8Array
}

/** One start of a program with a unit's key. */
export interface Session {
  /** One more at every start on the same data: a copy or an old backup cannot know of later ones. */
  readonly number: number
  /** 16 hexadecimal digits of chance: two copies come to the same number. */
  readonly instance: string
}

export const sessionText = ({ number, instance }: Session): string => `${number} ${instance}`

/** Undefined for anything else. */
export function parseSession(text: string | undefined): Session | undefined {
  const [, number, instance] = /^([0-9]{1,15}) ([0-9a-f]{16})$/.exec(text ?? '') ?? []
  return number === undefined || instance === undefined ? undefined : { number: Number(number), instance }
}

export type UnitRecordFields = Omit<UnitRecord, 'address' | 'raw'>

export const draftUnitRecord = (record: UnitRecordFields): Draft => ({
  data: record.certificate,
  tags: [
    ...tagsOf(
      ['Data-Protocol', 'ao'],
      ['Type', 'Unit-Record'],
      ['Variant', 'aonet.1'],
      ['Network', record.network],
      ['Peer-Id', record.peer],
      ['Grpc', record.grpc],
      ['Grpc-Over', record.tunnelled === true ? 'peer' : undefined],
      ['Issued-At', String(record.issuedAt)],
      ['Expires-At', String(record.expiresAt)],
      ['Session', record.session && sessionText(record.session)],
    ),
    ...record.roles.map((value): Tag => ({ name: 'Role', value })),
    ...record.multiaddrs.map((value): Tag => ({ name: 'Multiaddr', value })),
    ...record.formats.map((value): Tag => ({ name: 'Module-Format', value })),
    ...(record.peerSignature === undefined ? [] : tagsOf(['Peer-Signature', record.peerSignature])),
    ...(record.load === undefined ? [] : tagsOf(['Load', String(record.load)])),
    ...(record.warm === undefined || record.warm.length === 0 ? [] : tagsOf(['Warm', record.warm.join(' ')])),
  ],
})

/** Characters of a Process id in `warm`: 48 bits, so that two Processes of one CU hardly ever share them. */
export const warmPrefixLength = 8
/** Processes named in `warm` at the most. */
export const maxWarm = 64

const optional = <K extends string>(name: K, value: string | undefined): { readonly [P in K]?: string } =>
  value === undefined ? {} : ({ [name]: value } as { readonly [P in K]: string })

/** What a peer key signs to speak for a unit. Nothing else it signs begins so. */
export const peerBinding = (network: string, unit: Address): string => `aonet peer of unit\n${network}\n${unit}`

/** What a unit may say of itself and nobody relies on: what cannot be read counts as not said. */
function parseHints(tags: readonly Tag[]): Pick<UnitRecord, 'load' | 'warm' | 'session'> {
  const load = tagValue(tags, 'Load')
  const warm = tagValue(tags, 'Warm')?.split(' ') ?? []
  const session = parseSession(tagValue(tags, 'Session'))
  return {
    ...(session === undefined ? {} : { session }),
    ...(load !== undefined && /^(?:[0-9]{1,2}|100)$/.test(load) ? { load: Number(load) } : {}),
    ...(warm.length > 0 && warm.length <= maxWarm && warm.every(id => id.length === warmPrefixLength) ? { warm } : {}),
  }
}

/** Whether the record says that the unit's CU has the Process live. */
export const saysWarm = ({ warm }: Pick<UnitRecord, 'warm'>, process: string): boolean =>
  warm?.includes(process.slice(0, warmPrefixLength)) === true

/** @throws AoError `INVALID_RECORD` if the item is not a unit record. Says nothing about its age. */
export function parseUnitRecord(item: DataItem): UnitRecord {
  const { tags } = item
  try {
    if (!hasTag(tags, 'Type', 'Unit-Record')) throw new AoError('INVALID_ARGUMENT', 'Type is not Unit-Record')
    if (tagValue(tags, 'Variant') !== 'aonet.1') throw new AoError('INVALID_ARGUMENT', 'Variant is not aonet.1')
    const roles = tagValues(tags, 'Role').filter((role): role is UnitRole => unitRoles.includes(role as UnitRole))
    return {
      address: item.owner,
      roles,
      peer: requireTag(tags, 'Peer-Id'),
      multiaddrs: tagValues(tags, 'Multiaddr'),
      grpc: requireTag(tags, 'Grpc'),
      ...(tagValue(tags, 'Grpc-Over') === 'peer' ? { tunnelled: true } : {}),
      certificate: item.data,
      network: requireTag(tags, 'Network'),
      issuedAt: parseNonce(requireTag(tags, 'Issued-At'), 'Issued-At'),
      expiresAt: parseNonce(requireTag(tags, 'Expires-At'), 'Expires-At'),
      formats: tagValues(tags, 'Module-Format'),
      ...optional('peerSignature', tagValue(tags, 'Peer-Signature')),
      ...parseHints(tags),
      raw: item.raw,
    }
  } catch (cause) {
    const reason = cause instanceof AoError ? cause.message : 'it cannot be read'
    throw new AoError('INVALID_RECORD', `not a unit record: ${reason}`, { id: item.id }, { cause })
  }
}

import { AoError } from '../../lib/errors.ts'
import { type DataItem, verifyDataItem } from '../../protocol/data-item.ts'
import { parseUnitRecord, peerBinding, type UnitRecord } from '../../protocol/unit-record.ts'
import { isSignedByPeer, peerIdOfPublicKey } from './peer-key.ts'

/** Bytes of a whole signed record: certificate, a dozen addresses and the signature of an RSA key fit. */
export const maxRecordBytes = 8 * 1024
const maxCertificateBytes = 2 * 1024
/** Milliseconds. A unit that stopped is forgotten by all after this, whatever it signed. */
const maxLifetimeMs = 10 * 60_000
const maxAddresses = 16
const maxFormats = 16
/** `host:port`, the host a name, an IPv4 address or an IPv6 address in brackets. */
const grpcPattern = /^(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5}$/

/**
 * Checks everything about a record that is the same for every reader at any time.
 *
 * @throws AoError `TOO_LARGE` | `INVALID_DATA_ITEM` | `INVALID_RECORD` | `WRONG_NETWORK`
 */
export async function verifyRecord(bytes: Uint8Array, network: string): Promise<UnitRecord> {
  if (bytes.length > 1 && bytes[0] !== 1 && bytes[0] !== 2) {
    // Unit keys are RSA (1) or Ed25519 (2). Other kinds verify a hundred times slower: not at a stranger's request.
    throw invalid('a unit record is signed by an RSA or Ed25519 key')
  }
  const item = await verifyDataItem(bytes, { maxBytes: maxRecordBytes })
  const record = parseUnitRecord(item)
  if (record.network !== network) {
    const hint = 'Give both nodes the same network parameters.'
    throw new AoError('WRONG_NETWORK', 'a unit of another network', { address: record.address }, { hint })
  }
  checkLimits(record)
  checkPeer(record, item)
  return record
}

function checkLimits(record: UnitRecord): void {
  const lifetime = record.expiresAt - record.issuedAt
  if (lifetime <= 0 || lifetime > maxLifetimeMs)
    throw invalid(`it lives for ${lifetime} ms, not up to ${maxLifetimeMs}`)
  if (record.certificate.length > maxCertificateBytes) throw invalid('its certificate is too large')
  if (record.multiaddrs.length > maxAddresses) throw invalid('it has too many multiaddrs')
  if (record.formats.length > maxFormats) throw invalid('it has too many module formats')
  if (new Set(record.roles).size !== record.roles.length) throw invalid('it names a role twice')
  if (!grpcPattern.test(record.grpc)) throw invalid('its gRPC address is not host:port')
}

function checkPeer(record: UnitRecord, item: DataItem): void {
  // One key is both, or the peer key says itself for which unit it speaks: nobody can take another's PeerId.
  const isOwn = item.signatureType === 2 && record.peer === peerIdOfPublicKey(item.ownerKey)
  const binding = peerBinding(record.network, record.address)
  if (!isOwn && record.peerSignature === undefined) {
    throw invalid('its PeerId is not that of the key which signed it, and the peer has not signed for it')
  }
  if (!isOwn && !isSignedByPeer(record.peer, binding, record.peerSignature ?? '')) {
    throw invalid('the key of its PeerId did not sign for this unit')
  }
  if (!record.multiaddrs.every(address => address.endsWith(`/p2p/${record.peer}`))) {
    throw invalid('a multiaddr does not end in its PeerId')
  }
}

const invalid = (reason: string): AoError => new AoError('INVALID_RECORD', `not a valid unit record: ${reason}`)

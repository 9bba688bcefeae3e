import type { Json } from '../lib/json.ts'
import type { Libp2pDirectory } from '../network/libp2p/directory.ts'
import type { Libp2pGossip } from '../network/libp2p/gossip.ts'
import type { Libp2pHost } from '../network/libp2p/host.ts'
import type { PeerConduct, PeerLedger } from '../network/libp2p/peer-ledger.ts'

export interface PeerListDeps {
  readonly host: Libp2pHost
  readonly gossip: Libp2pGossip
  readonly directory: Libp2pDirectory
  readonly strangers: PeerLedger
}

/** For `aonet peers`: every peer that is connected, known by a record, or remembered for what it did; then strangers. */
export function peerList({ host, gossip, directory, strangers }: PeerListDeps): Json {
  const records = new Map(directory.all().map(record => [record.peer, record]))
  const conduct = new Map(host.ledger.list().map(entry => [entry.peer, entry]))
  const refused = new Set(host.otherNetworkPeers)
  const peers = new Set([...host.peers, ...records.keys(), ...conduct.keys(), ...refused])
  peers.delete(host.peerId)
  const rows = [...peers].map(peer => {
    const record = records.get(peer)
    const seen = conduct.get(peer)
    return {
      peer,
      address: record?.address ?? null,
      roles: [...(record?.roles ?? [])],
      state: stateOf(peer, { connected: host.peers, refused, bannedUntil: seen?.bannedUntil ?? 0 }),
      latencyMs: host.latencyOf(peer) ?? null,
      load: record?.load ?? null,
      score: host.peers.has(peer) ? Math.round(gossip.scoreOf(peer) * 10) / 10 : null,
      ...gossip.faultsOf(peer),
      ...(record === undefined ? noCalls : directory.callsOf(record.address)),
      ...conductOf(seen),
    }
  })
  return [...rows, ...strangers.list().map(strangerRow)]
}

/** Whoever calls over gRPC without the certificate of a unit: all of an IP address together. */
const strangerRow = (seen: PeerConduct) => ({
  ...{ peer: seen.peer === '' ? 'by a peer-to-peer stream' : `ip ${seen.peer}`, address: null, roles: [] as string[] },
  ...{ state: 'stranger', latencyMs: null, load: null, score: null, invalidGossip: 0, brokenPromises: 0 },
  ...noCalls,
  ...conductOf(seen),
})

const noCalls = { failedCalls: 0, lastFailure: null }

const conductOf = (seen: PeerConduct | undefined) => ({
  points: seen?.points ?? 0,
  offences: { ...seen?.offences },
  lastOffence: seen?.lastOffence ?? null,
  lastOffenceAt: seen?.lastOffenceAt ?? 0,
  bannedUntil: seen?.bannedUntil ?? 0,
})

function stateOf(
  peer: string,
  at: { readonly connected: ReadonlySet<string>; readonly refused: ReadonlySet<string>; readonly bannedUntil: number },
): string {
  if (at.bannedUntil > 0) return 'banned'
  if (at.refused.has(peer)) return 'other-network'
  return at.connected.has(peer) ? 'connected' : 'known'
}

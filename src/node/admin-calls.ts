import { AoError } from '../lib/errors.ts'
import type { Json } from '../lib/json.ts'
import type { Libp2pDirectory } from '../network/libp2p/directory.ts'
import type { Libp2pGossip } from '../network/libp2p/gossip.ts'
import type { Libp2pHost } from '../network/libp2p/host.ts'
import type { AdminCalls } from './admin.ts'
import type { NodeStatus } from './status.ts'
import { isLogLevel, type NodeTelemetry } from './telemetry.ts'

export interface AdminDeps {
  readonly host: Libp2pHost
  readonly gossip: Libp2pGossip
  readonly directory: Libp2pDirectory
  readonly telemetry: NodeTelemetry
  status(): Promise<NodeStatus>
}

/** What `aonet peers`, `aonet status --watch` and `aonet logs level` ask a node. */
export const adminCalls = ({ host, gossip, directory, telemetry, status }: AdminDeps): AdminCalls => ({
  status,
  peers: () => peersOf({ host, gossip, directory }),
  unban: ({ peer }) => ({ forgiven: host.ledger.forgive(String(peer)) }),
  'logs/level': ({ level }) => {
    if (!isLogLevel(level)) {
      throw new AoError(
        'INVALID_ARGUMENT',
        'no such log level',
        { level: String(level) },
        { hint: 'Say error, warn, info or debug.' },
      )
    }
    telemetry.setLevel(level)
    telemetry.log.info('log-level-set', { level })
    return { level }
  },
})

/** Every peer that is connected, known by a record, or remembered for what it did. */
function peersOf({ host, gossip, directory }: Pick<AdminDeps, 'host' | 'gossip' | 'directory'>): Json {
  const records = new Map(directory.all().map(record => [record.peer, record]))
  const conduct = new Map(host.ledger.list().map(entry => [entry.peer, entry]))
  const refused = new Set(host.otherNetworkPeers)
  const peers = new Set([...host.peers, ...records.keys(), ...conduct.keys(), ...refused])
  peers.delete(host.peerId)
  return [...peers].map(peer => {
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
      points: seen?.points ?? 0,
      offences: { ...seen?.offences },
      lastOffence: seen?.lastOffence ?? null,
      bannedUntil: seen?.bannedUntil ?? 0,
    }
  })
}

function stateOf(
  peer: string,
  at: { readonly connected: ReadonlySet<string>; readonly refused: ReadonlySet<string>; readonly bannedUntil: number },
): string {
  if (at.bannedUntil > 0) return 'banned'
  if (at.refused.has(peer)) return 'other-network'
  return at.connected.has(peer) ? 'connected' : 'known'
}

import { AoError } from '../lib/errors.ts'
import type { AdminCalls } from './admin.ts'
import { type PeerListDeps, peerList } from './peer-list.ts'
import type { NodeStatus } from './status.ts'
import { isLogLevel, type NodeTelemetry } from './telemetry.ts'

export interface AdminDeps extends PeerListDeps {
  readonly telemetry: NodeTelemetry
  status(): Promise<NodeStatus>
}

/** What `aonet peers`, `aonet status --watch` and `aonet logs level` ask a node. */
export const adminCalls = ({ telemetry, status, ...network }: AdminDeps): AdminCalls => ({
  status,
  peers: () => peerList(network),
  unban: ({ peer }) => ({ forgiven: forgive(network, String(peer)) }),
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

/** A peer by its PeerId, a stranger as `ip <address>`. */
const forgive = ({ host, strangers }: PeerListDeps, peer: string): boolean =>
  peer.startsWith('ip ') ? strangers.forgive(peer.slice(3)) : host.ledger.forgive(peer)

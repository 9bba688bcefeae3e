import type { GrpcUnits } from '../network/grpc/clients.ts'
import type { PeerDirectory } from '../ports/peers.ts'
import type { PeerMemory, Recalled } from '../ports/session.ts'
import type { Address } from '../protocol/ids.ts'

/** Nodes asked at once: a twin that shares one peer with this node is found if that one is among them. */
const maxAsked = 16

/** The memory of the nodes that this one knows. */
export const peerMemory = ({ directory, remote, self, record, expected }: PeerMemoryDeps): PeerMemory => {
  const own = (address: Address) => ({ address, record: address === self ? record() : new Uint8Array(0) })
  return {
    expected,
    recall: async (address, options) => {
      const others = directory.all().filter(other => other.address !== self)
      const asked = others.slice(0, maxAsked).map(other => remote.recall(other, own(address), options))
      const answers = await Promise.allSettled(asked)
      return answers.flatMap((answer): readonly Recalled[] => (answer.status === 'fulfilled' ? [answer.value] : []))
    },
    sessionAt: async (seen, options) => {
      // Its certificate is in its record, so nobody else can answer for it.
      const answer = await remote.recall(seen, own(seen.address), options).catch(() => undefined)
      return answer?.self
    },
  }
}

interface PeerMemoryDeps {
  readonly directory: PeerDirectory
  readonly remote: GrpcUnits
  readonly self: Address
  /** The newest that this node signed of itself; no bytes before the first. */
  readonly record: () => Uint8Array
  readonly expected: boolean
}

import { type GossipTopic, gossipTopics } from '../../ports/peers.ts'

/** 16 characters of the hash are 96 bits: enough that two networks never meet by accident, short enough to read. */
const hashPart = (networkHash: string): string => networkHash.slice(0, 16)

/** The gossipsub name of a topic: nodes of another network, or of another wire, never share one. */
export const topicName = (networkHash: string, topic: GossipTopic): string =>
  `/aonet/${hashPart(networkHash)}/${topic}/1`

/** All five names, by topic. */
export const topicNames = (networkHash: string): ReadonlyMap<string, GossipTopic> =>
  new Map(gossipTopics.map(topic => [topicName(networkHash, topic), topic]))

/** The stream protocol that hands over unit records. Speaking it is also what shows that a peer is of our network. */
export const recordsProtocol = (networkHash: string): string => `/aonet/${hashPart(networkHash)}/records/1`

/** The stream protocol that carries a connection to a unit's gRPC services. */
export const grpcProtocol = (networkHash: string): string => `/aonet/${hashPart(networkHash)}/grpc/1`

/** mDNS answers are seen by every program on the local net: only those of our network are asked for. */
export const mdnsServiceTag = (networkHash: string): string => `_aonet-${hashPart(networkHash)}._udp.local`

/** The DHT of our network: nodes of another never answer each other. */
export const dhtProtocol = (networkHash: string): string => `/aonet/${hashPart(networkHash)}/kad/1`

import { type GossipSub, type GossipsubOpts, StrictSign } from '@libp2p/gossipsub'
import { sha256, toHex, utf8 } from '../../lib/bytes.ts'
import { topicNames } from './names.ts'
import { type ScoreOptions, scoreParams, scoreThresholds } from './scoring.ts'

/** What gossipsub has at run time and its exported interface lacks. */
export interface GossipRouter extends GossipSub {
  getScore(peer: string): number
  getMeshPeers(topicName: string): string[]
  /** What it has against each peer. */
  dumpPeerScoreStats(): Readonly<Record<string, PeerScoreStats>>
  readonly score: { rejectInvalidMessage(from: string, topicName: string): void }
  /** Streams on which we send, by peer. */
  readonly streamsOutbound: ReadonlyMap<string, unknown>
}

interface PeerScoreStats {
  readonly topics: Readonly<Record<string, { readonly invalidMessageDeliveries: number } | undefined>>
  readonly behaviourPenalty: number
}

/** Tells of each message that its author has not signed: gossipsub counts it before anything of ours sees it. */
export function tellUnsigned(pubsub: GossipRouter, onUnsigned: (peer: string) => void): GossipRouter {
  const { score } = pubsub
  const count = score.rejectInvalidMessage.bind(score)
  score.rejectInvalidMessage = (from, topicName) => {
    count(from, topicName)
    onUnsigned(from)
  }
  return pubsub
}

/** Bytes of one signed item that gossip carries. */
export const maxGossipBytes = 256 * 1024

/** Every limit of gossipsub set by hand: its defaults have been unbounded before (features.md section 3.7). */
export function gossipOptions(networkHash: string, options: ScoreOptions): Partial<GossipsubOpts> {
  return {
    globalSignaturePolicy: StrictSign,
    fallbackToFloodsub: false,
    emitSelf: false,
    doPX: false,
    floodPublish: true,
    allowPublishToZeroTopicPeers: true,
    ignoreDuplicatePublishError: true,
    msgIdFn: message => messageId(message.topic, message.data),
    // The same id before the signature is checked: a second copy of a message costs one hash, no verification.
    fastMsgIdFn: message => toHex(messageId(message.topic, message.data ?? new Uint8Array(0))),
    allowedTopics: new Set(topicNames(networkHash).keys()),
    // Five topics at about 1.1 KiB each, twice over.
    maxTopicBytesPerPeer: 12 * 1024,
    // One frame may answer many requests at once: 16 of the largest messages, some 2000 usual ones.
    maxInboundDataLength: 16 * maxGossipBytes,
    // A neighbour this far behind is cut off; Libp2pGossip then opens a new connection to it.
    maxOutboundBufferSize: 64 * maxGossipBytes,
    maxInboundStreams: 2,
    maxOutboundStreams: 2,
    decodeRpcLimits: {
      maxSubscriptions: 64,
      maxMessages: 5000,
      maxIhaveMessageIDs: 5000,
      maxIwantMessageIDs: 5000,
      maxIdontwantMessageIDs: 512,
      maxControlMessages: 256,
      maxPeerInfos: 16,
    },
    // Telling all neighbours not to send a message that one has sent costs more than a second copy of a usual notice
    // of 2 KB: a quarter less CPU in a flood over five nodes than with the default of 512.
    idontwantMinDataSize: 8192,
    // A busy machine answers late: the default of 3 s makes honest neighbours look like liars.
    gossipsubIWantFollowupMs: 12_000,
    scoreParams: scoreParams(networkHash, options),
    scoreThresholds,
  }
}

/** With the topic in it: else bytes sent in the wrong topic first would be known, and refused, in the right one. */
const messageId = (topic: string, data: Uint8Array): Uint8Array => sha256(utf8(topic), zero, data)
const zero = Uint8Array.of(0)

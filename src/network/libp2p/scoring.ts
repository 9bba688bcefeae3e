import type { PeerScoreParams, PeerScoreThresholds, TopicScoreParams } from '@libp2p/gossipsub/score'
import { topicNames } from './names.ts'

/**
 * What a neighbour earns and loses in one topic. With these numbers good conduct is worth 2 points a topic at the
 * most, 10 in all five; bad messages cost 10, 40, 90, … so that no earned credit outlives the second lie.
 */
const topicScore: TopicScoreParams = {
  topicWeight: 1,

  // P1, time in the mesh: 1 point after 100 s. The default quantum of 1 ms pays 3600 points in 3.6 s, which hides
  // any later lie (measured, stack.md section 1).
  timeInMeshWeight: 0.01,
  timeInMeshQuantum: 1000,
  timeInMeshCap: 100,

  // P2, being first with a valid message: 1 point at the most, so that volume buys no licence to lie.
  // Half is forgotten in 7 s.
  firstMessageDeliveriesWeight: 0.1,
  firstMessageDeliveriesDecay: 0.9,
  firstMessageDeliveriesCap: 10,

  // P3 and P3b, too few deliveries: off. Our topics are silent for minutes when nobody uses the network, and a
  // silent neighbour in a silent network is not a bad one. The other fields have no effect at weight 0.
  meshMessageDeliveriesWeight: 0,
  meshMessageDeliveriesDecay: 0.5,
  meshMessageDeliveriesCap: 1,
  meshMessageDeliveriesThreshold: 1,
  meshMessageDeliveriesWindow: 10,
  meshMessageDeliveriesActivation: 5000,
  meshFailurePenaltyWeight: 0,
  meshFailurePenaltyDecay: 0.5,

  // P4, messages that the judge rejects: the square of their number times 10. Half is forgotten in 23 s, so that a
  // neighbour is let in again soon after it stops; BlameLimiter bounds the number.
  invalidMessageDeliveriesWeight: -10,
  invalidMessageDeliveriesDecay: 0.97,
}

export interface ScoreOptions {
  /** Many nodes behind one address (testnets, tests): the penalty for that is off. */
  readonly allowSameIp: boolean
  /** Zero or less: what this node has against a peer beyond its gossip. */
  readonly scoreOf?: (peer: string) => number
}

/** Peer scores for the five topics of a network. */
export const scoreParams = (
  networkHash: string,
  { allowSameIp, scoreOf = () => 0 }: ScoreOptions,
): PeerScoreParams => ({
  topics: Object.fromEntries([...topicNames(networkHash).keys()].map(name => [name, topicScore])),
  // Good conduct can offset one bad message (-10), never two.
  topicScoreCap: 10,

  // P5: floods and lies elsewhere (DHT, gRPC, exchanges). At most 15 points, less than any threshold below.
  appSpecificScore: scoreOf,
  appSpecificWeight: 1,

  // P6: a home or an office has a few nodes; the square of those above 8 makes a crowd expensive.
  IPColocationFactorWeight: allowSameIp ? 0 : -5,
  IPColocationFactorThreshold: 8,
  IPColocationFactorWhitelist: new Set(),

  // P7, unkept promises and grafts against a prune: 6 are free, for a slow machine breaks some (Lodestar #4388).
  // Half is forgotten in 7 s, so only more than one a second, kept up, leads to the gray list.
  behaviourPenaltyWeight: -1,
  behaviourPenaltyThreshold: 6,
  behaviourPenaltyDecay: 0.9,

  // Once a second, the shortest that gossipsub allows and its heartbeat.
  decayInterval: 1000,
  decayToZero: 0.01,
  // Retained scores do not decay. Two minutes stop a quick reconnect from washing a lie off and forgive after that.
  retainScore: 120_000,
})

/** Where a score bites. A newcomer stands at 0: one bad message is -10, two are -40, three are -90. */
export const scoreThresholds: PeerScoreThresholds = {
  // No news about messages to or from it: after the second bad message.
  gossipThreshold: -20,
  // Our own messages are not sent to it: after the second.
  publishThreshold: -30,
  // Nothing from it is read any more: after the third.
  graylistThreshold: -60,
  // Peer exchange is off; addresses come from signed unit records.
  acceptPXThreshold: 1000,
  // A mesh whose median is worth less looks for better neighbours.
  opportunisticGraftThreshold: 1,
}

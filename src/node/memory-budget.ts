import { totalmem } from 'node:os'
import { grpcDefaults } from '../network/grpc/server.ts'
import { maxGossipBytes } from '../network/libp2p/gossip-options.ts'
import { defaultHostLimits } from '../network/libp2p/host-config.ts'
import { maxRelayedStreams } from '../network/libp2p/reachability.ts'
import type { NodeOptions } from './settings.ts'

/** One thing that can take memory, and the most it can take, in bytes. */
export interface MemoryShare {
  readonly what: string
  readonly bytes: number
}

const MiB = 1024 * 1024
/** The program itself with its libraries, measured idle. */
const baseBytes = 160 * MiB
/** An evaluation thread without Processes, measured idle, and the instance it has spare. */
const workerBytes = 68 * MiB
/** Neighbours whose buffers can be full at once: above a few, the machine's line is the limit, not its memory. */
const slowNeighbours = 16
/** Frames of the largest size that gossip lets wait for one neighbour. */
const framesWaiting = 64
/** Large items on their way in over gRPC at once: each caller may have more calls open, but hardly all of the largest. */
const largeItems = 64
/** What one pending message of usual size takes while it waits to be ordered. */
const pendingBytes = 8 * 1024
/** What a connection costs when nothing is sent. */
const connectionBytes = 128 * 1024
/** A gRPC connection at rest: TLS and HTTP/2, measured. */
const grpcConnectionBytes = 96 * 1024
/** What one stream of a peer may send before it is read. */
const streamWindowBytes = 256 * 1024
/** Streams of one connection that can be full at once, as many as our protocols take. */
const fullStreams = 34

/** Memory of live Processes and their copies: what is set, or a quarter of what there is. */
export const liveMemory = ({ computeMemoryMb }: NodeOptions): number =>
  computeMemoryMb === 0 ? Math.floor(availableMemory() / 4) : computeMemoryMb * MiB

/** Of those, what copies for dry-runs may take. */
export const forkMemory = (options: NodeOptions): number => Math.floor(liveMemory(options) / 8)

/** What this configuration can take in memory when all its limits are reached at once. */
export function memoryBudget(options: NodeOptions, threads: number): readonly MemoryShare[] {
  const { roles, maxItemBytes, maxPending, relayServer } = options
  return [
    { what: 'the program', bytes: baseBytes },
    { what: 'connections of peers', bytes: defaultHostLimits.maxConnections * connectionBytes },
    { what: 'gossip that slow neighbours do not take', bytes: slowNeighbours * framesWaiting * maxGossipBytes },
    {
      what: 'peer-to-peer streams that wait to be read',
      bytes: slowNeighbours * fullStreams * streamWindowBytes,
    },
    { what: 'gRPC connections', bytes: grpcDefaults.maxConnections * grpcConnectionBytes },
    ...(relayServer ? [{ what: 'streams through this relay', bytes: maxRelayedStreams * 2 * streamWindowBytes }] : []),
    { what: `${largeItems} items of maxItemBytes coming in at once`, bytes: largeItems * maxItemBytes },
    ...(roles.includes('SU')
      ? [{ what: 'maxPending messages waiting to be ordered', bytes: maxPending * pendingBytes }]
      : []),
    ...(roles.includes('CU')
      ? [
          {
            what: 'evaluation threads and the Processes live in them (computeMemoryMb)',
            bytes: threads * workerBytes + liveMemory(options),
          },
        ]
      : []),
  ]
}

/** A sentence for an operator if the configuration can outgrow the machine; undefined if it fits. */
export function memoryWarning(shares: readonly MemoryShare[], available: number): string | undefined {
  const total = shares.reduce((sum, { bytes }) => sum + bytes, 0)
  if (total <= available) return undefined
  const [largest] = [...shares].sort((a, b) => b.bytes - a.bytes)
  const inMiB = (bytes: number): string => `${Math.round(bytes / MiB)} MiB`
  return `at its limits this configuration takes ${inMiB(total)} and there are ${inMiB(available)}; most of it: ${largest?.what} (${inMiB(largest?.bytes ?? 0)})`
}

/** Bytes this process may use: the container's limit where there is one, else the machine's memory. */
export function availableMemory(): number {
  const limit = process.constrainedMemory?.() ?? 0
  return limit > 0 && limit < totalmem() ? limit : totalmem()
}

import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Duplex, pipeline } from 'node:stream'
import type { AbortOptions } from '../../lib/abort.ts'
import type { Component } from '../../lib/component.ts'
import { AoError } from '../../lib/errors.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import type { Tunnel, TunnelPeer } from '../grpc/tunnel.ts'
import type { Libp2pHost } from './host.ts'
import { grpcProtocol } from './names.ts'
import { StreamDuplex } from './stream-duplex.ts'

export interface GrpcTunnelDeps extends Telemetry {
  readonly host: Libp2pHost
  /** Hands a connection that came over a stream to this node's gRPC services. */
  serve(connection: Duplex): void
}

/** Connections of one peer to our services, and of ours to one peer. A gRPC channel needs one, two while it renews it. */
const maxPerPeer = 8
const openMs = 15_000

/**
 * gRPC over peer-to-peer streams, for units whose endpoint cannot be dialled. TLS and its pinned certificates are the
 * same as over TCP: the stream, and a relay on its way, carry bytes that they cannot read.
 *
 * grpc-js dials addresses only, so each such unit gets a local socket that is piped to a stream.
 */
export class GrpcTunnel implements Tunnel, Component {
  readonly name = 'grpc-tunnel'
  readonly #deps: GrpcTunnelDeps
  readonly #doors = new Map<string, Server>()
  readonly #sockets = new Set<Socket>()
  #directory: string | undefined
  #count = 0
  #serves = false

  constructor(deps: GrpcTunnelDeps) {
    this.#deps = deps
    deps.metrics.gauge('aonet_network_tunnels', 'gRPC connections over peer-to-peer streams', () => this.#sockets.size)
    const { host, log } = deps
    host.handle(
      grpcProtocol(host.networkHash),
      stream => {
        const connection = new StreamDuplex(stream)
        connection.on('error', error => log.debug('grpc-tunnel-ended', { reason: String(error) }))
        deps.serve(connection)
      },
      { maxInboundStreams: maxPerPeer },
    )
  }

  async start(_options: AbortOptions = {}): Promise<void> {
    this.#serves = true
  }

  async stop(): Promise<void> {
    this.#serves = false
    for (const socket of this.#sockets) socket.destroy()
    await Promise.all([...this.#doors.values()].map(door => new Promise(resolve => door.close(resolve))))
    this.#doors.clear()
    if (this.#directory !== undefined) rmSync(this.#directory, { recursive: true, force: true })
    this.#directory = undefined
  }

  open(peer: TunnelPeer): { readonly target: string; close(): void } {
    if (!this.#serves) throw new AoError('STOPPING', 'no more streams to other nodes are opened')
    // Only this user may connect to what lies here.
    this.#directory ??= mkdtempSync(join(tmpdir(), 'aonet-grpc-'))
    const path = join(this.#directory, String(++this.#count))
    const door = createServer({ allowHalfOpen: true }, socket => void this.#carry(socket, peer))
    door.maxConnections = maxPerPeer
    door.listen(path)
    this.#doors.set(path, door)
    return {
      target: `unix:${path}`,
      close: () => {
        door.close()
        this.#doors.delete(path)
      },
    }
  }

  async #carry(socket: Socket, { peer, multiaddrs }: TunnelPeer): Promise<void> {
    const { host, log } = this.#deps
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    socket.on('error', () => undefined) // told by the pipeline
    try {
      const signal = AbortSignal.timeout(openMs)
      const stream = await host.openStream(peer, multiaddrs, grpcProtocol(host.networkHash), { signal })
      const far = new StreamDuplex(stream)
      const ended = (error: unknown): void => {
        if (error) log.debug('grpc-tunnel-ended', { peer, reason: String(error) })
      }
      pipeline(socket, far, ended)
      pipeline(far, socket, ended)
    } catch (error) {
      log.debug('grpc-tunnel-not-opened', { peer, reason: String(error) })
      socket.destroy()
    }
  }
}

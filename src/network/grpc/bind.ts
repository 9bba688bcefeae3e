import type { Socket } from 'node:net'
import { type Server, ServerCredentials } from '@grpc/grpc-js'
import { AoError } from '../../lib/errors.ts'
import { ipOf, type Session } from './callers.ts'
import type { Certificate } from './certificate.ts'

/** Milliseconds for a TLS handshake: who opens a connection and says nothing is soon gone. */
const handshakeMs = 10_000

/**
 * TLS that asks the caller for its certificate and takes it, whoever made it, and goes on without one. What it is worth
 * is for `Callers` to say; TLS proves only that the caller has its key.
 */
export function credentialsOf(certificate: Certificate): ServerCredentials {
  const pair = { private_key: Buffer.from(certificate.keyPem), cert_chain: Buffer.from(certificate.certPem) }
  const credentials = ServerCredentials.createSsl(null, [pair], true)
  Object.assign(credentials._getConstructorOptions() ?? {}, {
    rejectUnauthorized: false,
    handshakeTimeout: handshakeMs,
  })
  return credentials
}

export interface BindOptions {
  readonly host: string
  readonly port: number
  readonly certificate: Certificate
}

/** The port it listens on. @throws AoError `PORT_IN_USE` | `INVALID_CONFIG` */
export function bind(server: Server, { host, port, certificate }: BindOptions): Promise<number> {
  const at = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
  return new Promise<number>((resolve, reject) => {
    server.bindAsync(at, credentialsOf(certificate), (cause, bound) => {
      if (cause === null) return resolve(bound)
      server.forceShutdown()
      reject(
        /EADDRINUSE/.test(cause.message)
          ? new AoError('PORT_IN_USE', 'the gRPC port is taken', { host, port }, { cause, hint: portHint })
          : new AoError('INVALID_CONFIG', 'cannot listen for gRPC there', { host, port }, { cause, hint: hostHint }),
      )
    })
  })
}

const portHint = 'Stop the program that uses it, or give this node another gRPC port.'
const hostHint = 'Give an address of this machine and a port that this user may open.'

interface Listener {
  maxConnections: number
  on(event: 'session', listener: (session: Session) => void): unknown
  on(event: 'connection', listener: (socket: Socket) => void): unknown
  on(event: 'tlsClientError', listener: (error: Error, socket: { readonly remoteAddress?: string }) => void): unknown
}

export interface ConnectionLimits {
  readonly maxConnections: number
  readonly maxConnectionsPerIp: number
}

/**
 * Bounds sockets before any of their bytes are read. To be called once the server is bound.
 *
 * @param onOffence Told of each connection above the limit of its address, and of each without a TLS handshake.
 */
export function limitConnections(
  server: Server,
  { maxConnections, maxConnectionsPerIp }: ConnectionLimits,
  onOffence: (address: string, offence: 'grpc-connections' | 'grpc-handshake') => void,
): void {
  const open = new Map<string, number>()
  for (const listener of listenersOf(server)) {
    listener.maxConnections = maxConnections
    listener.on('connection', socket => {
      const ip = ipOf(`${socket.remoteAddress ?? ''}:0`)
      const count = (open.get(ip) ?? 0) + 1
      if (count > maxConnectionsPerIp) {
        socket.destroy()
        return onOffence(ip, 'grpc-connections')
      }
      open.set(ip, count)
      socket.once('close', () => {
        const left = (open.get(ip) ?? 1) - 1
        if (left > 0) open.set(ip, left)
        else open.delete(ip)
      })
    })
    listener.on('tlsClientError', (_error, { remoteAddress }) => {
      if (remoteAddress !== undefined) onOffence(ipOf(`${remoteAddress}:0`), 'grpc-handshake')
    })
  }
}

/** Tells of each connection whose TLS stands, injected ones too. To be called once the server is bound. */
export function onSession(server: Server, greet: (session: Session) => void): void {
  for (const listener of listenersOf(server)) listener.on('session', greet)
}

const listenersOf = (server: Server): Iterable<Listener> =>
  (server as unknown as { readonly http2Servers: ReadonlyMap<Listener, unknown> }).http2Servers.keys()

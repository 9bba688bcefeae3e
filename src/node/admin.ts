import { createHash } from 'node:crypto'
import { chmodSync, existsSync, unlinkSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join, resolve as resolvePath } from 'node:path'
import type { Component } from '../lib/component.ts'
import { AoError } from '../lib/errors.ts'
import type { Json } from '../lib/json.ts'
import type { Logger } from '../lib/telemetry.ts'

/** What an operator may ask of a running node, by path. */
export type AdminCalls = Readonly<Record<string, (body: { readonly [key: string]: Json }) => Promise<Json> | Json>>

const maxBodyBytes = 64 * 1024
/** A longer path fits in no socket address of any system. */
const maxPathLength = 100
const maxConnections = 16

/** Where the admin socket of a node is, for the node and for who asks it. */
export function adminSocketPath(dataDir: string): string {
  const path = resolvePath(join(dataDir, 'admin.sock'))
  if (path.length <= maxPathLength) return path
  return join(tmpdir(), `aonet-${createHash('sha256').update(path).digest('hex').slice(0, 24)}.sock`)
}

/**
 * The operator's door: HTTP and JSON on a local socket that only the node's own user can open, apart from everything the
 * world can reach. There is no password, for whoever can open it can read the key too.
 */
export class AdminServer implements Component {
  readonly name = 'admin'
  readonly #deps: { readonly log: Logger; readonly calls: AdminCalls }
  readonly #path: string
  #server: Server | undefined

  constructor(deps: { readonly log: Logger; readonly calls: AdminCalls }, path: string) {
    this.#deps = deps
    this.#path = path
  }

  /** The data directory is locked by now: a socket that is there was left by a node that is gone. */
  async start(): Promise<void> {
    if (existsSync(this.#path)) unlinkSync(this.#path)
    const server = createServer((request, response) => void this.#answer(request, response))
    server.maxConnections = maxConnections
    server.requestTimeout = 10_000
    await new Promise<void>((resolve, reject) => {
      server.once('error', cause => {
        const hint = 'Check that this user may write in the data directory.'
        const facts = { path: this.#path }
        reject(new AoError('INVALID_CONFIG', 'cannot open the admin socket', facts, { cause, hint }))
      })
      server.listen(this.#path, resolve)
    })
    chmodSync(this.#path, 0o600)
    this.#server = server
  }

  async stop(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    if (server === undefined) return
    const closed = new Promise<void>(resolve => server.close(() => resolve()))
    server.closeAllConnections()
    await closed
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const send = (status: number, value: Json): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
    }
    try {
      const call = this.#deps.calls[(request.url ?? '').slice(1)]
      if (call === undefined) throw new AoError('INVALID_ARGUMENT', 'no such call', { path: request.url })
      send(200, await call(await bodyOf(request)))
    } catch (error) {
      const { code, message, facts, hint } = AoError.from(error)
      if (code === 'INTERNAL') this.#deps.log.error('admin-call-broke', { path: request.url, error })
      send(400, { code, error: message, facts: { ...facts } as Json, ...(hint === undefined ? {} : { hint }) })
    }
  }
}

async function bodyOf(request: IncomingMessage): Promise<{ readonly [key: string]: Json }> {
  let text = ''
  for await (const part of request) {
    text += String(part)
    if (text.length > maxBodyBytes)
      throw new AoError('TOO_LARGE', 'too much for an admin call', { limit: maxBodyBytes })
  }
  try {
    return text === '' ? {} : (JSON.parse(text) as { readonly [key: string]: Json })
  } catch (cause) {
    throw new AoError('INVALID_ARGUMENT', 'the body is not JSON', {}, { cause })
  }
}

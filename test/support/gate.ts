import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/**
 * - `open`: passes everything on.
 * - `mute`: passes it on and hangs up instead of answering.
 * - `dead`: hangs up at once.
 */
export type GateMode = 'open' | 'mute' | 'dead'

/**
 * Stands in front of an SU of another network: its router, which answers the first request for each POST with a redirect
 * to itself, and a scheduler that knows RSA and Ethereum signatures only, as the reference's does.
 */
export class Gate {
  mode: GateMode = 'open'
  /** POSTs that came as far as the SU, and those that were hung up on. */
  posts = 0
  refused = 0
  /** Of the items signed by RSA that were posted. */
  readonly ids: string[] = []
  readonly #server: Server = createServer((request, response) => void this.#pass(request, response))
  #behind = ''

  async start(): Promise<void> {
    await new Promise<void>(resolve => this.#server.listen(0, '127.0.0.1', resolve))
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** @param url where the requests go. */
  leadTo(url: string): void {
    this.#behind = url
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise<void>(resolve => this.#server.close(() => resolve()))
  }

  async #pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', url = '/' } = request
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part)
    const body = Buffer.concat(parts)
    const isPost = method === 'POST'
    if (this.mode === 'dead') {
      if (isPost) this.refused++
      return void request.socket.destroy()
    }
    if (isPost && !url.includes('routed')) {
      const place = `${url}${url.includes('?') ? '&' : '?'}routed=1`
      return void response.writeHead(307, { location: place }).end()
    }
    if (isPost && body.length > 0 && ![1, 3, 7].includes(body.readUInt16LE(0))) {
      return void response.writeHead(400).end(JSON.stringify({ error: 'Error processing: signature type' }))
    }
    if (isPost) this.posts++
    if (isPost && body.length > 514 && body.readUInt16LE(0) === 1) {
      this.ids.push(createHash('sha256').update(body.subarray(2, 514)).digest('base64url'))
    }
    const answer = await fetch(`${this.#behind}${url}`, {
      ...{ method, headers: { 'content-type': request.headers['content-type'] ?? 'application/json' } },
      ...(isPost ? { body } : {}),
    })
    const text = await answer.text()
    if (this.mode === 'mute' && isPost) return void request.socket.destroy()
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(text)
  }
}

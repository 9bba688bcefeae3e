import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Devnet, type DevnetOptions } from '../../../src/devnet/devnet.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import { generateKey, type PrivateJwk, signerFromJwk } from '../../../src/protocol/keys.ts'

export const newDevnet = (dataDir: string, options: Partial<DevnetOptions> = {}): Devnet =>
  new Devnet(
    { ...silentTelemetry, clock: systemClock },
    { dataDir, host: '127.0.0.1', port: 0, blockMs: 0, network: 'test', ...options },
  )

/** RSA keys take seconds to make, and every devnet is a chain of its own. */
const keys = new Map<string, PrivateJwk>()

/** A devnet that mines when asked, and what tests do with it. */
export class RunningDevnet {
  readonly dataDir: string
  readonly #devnet: Devnet

  private constructor(dataDir: string, devnet: Devnet) {
    this.dataDir = dataDir
    this.#devnet = devnet
  }

  static async start(options: Partial<DevnetOptions> = {}): Promise<RunningDevnet> {
    const dataDir = await mkdtemp(join(tmpdir(), 'aonet-devnet-'))
    const devnet = newDevnet(dataDir, options)
    await devnet.start()
    return new RunningDevnet(dataDir, devnet)
  }

  get url(): string {
    return this.#devnet.url
  }

  async remove(): Promise<void> {
    await this.#devnet.stop()
    await rm(this.dataDir, { recursive: true, force: true })
  }

  get(path: string): Promise<Response> {
    return fetch(`${this.url}${path}`)
  }

  async json<T = Record<string, unknown>>(path: string): Promise<T> {
    return (await (await this.get(path)).json()) as T
  }

  async bytes(path: string): Promise<Buffer> {
    return Buffer.from(await (await this.get(path)).arrayBuffer())
  }

  post(path: string, body: Uint8Array | string = '', type = 'application/octet-stream'): Promise<Response> {
    return fetch(`${this.url}${path}`, { method: 'POST', body: body as BodyInit, headers: { 'content-type': type } })
  }

  async mine(): Promise<{ height: number; current: string }> {
    return (await (await this.post('/mine')).json()) as { height: number; current: string }
  }

  /** The `data` of an answer without errors. */
  async query<T = Record<string, Connection>>(query: string, variables: object = {}): Promise<T> {
    const answer = await this.post('/graphql', JSON.stringify({ query, variables }), 'application/json')
    const { data, errors } = (await answer.json()) as { data: T; errors?: unknown }
    if (errors !== undefined) throw new Error(JSON.stringify(errors))
    return data
  }

  /** The wallet of that name, with so much more in it on this chain: one AR unless told. */
  async wallet(winston = '1000000000000', name = 'payer'): Promise<{ jwk: PrivateJwk; address: string }> {
    const jwk = keys.get(name) ?? generateKey('rsa')
    keys.set(name, jwk)
    const { address } = signerFromJwk(jwk)
    if (winston !== '0') await this.get(`/mint/${address}/${winston}`)
    return { jwk, address }
  }
}

export interface Connection<N = Record<string, unknown>> {
  readonly pageInfo: { readonly hasNextPage: boolean }
  readonly edges: readonly { readonly cursor: string; readonly node: N }[]
}

/** Ids of a connection's nodes, in order. */
export const idsOf = (connection: Connection | undefined): unknown[] =>
  (connection?.edges ?? []).map(({ node }) => node['id'])

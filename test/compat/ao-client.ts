import { toUtf8 } from '../../src/lib/bytes.ts'
import type { Door, LocalNetwork } from './local-network.ts'

export interface Tag {
  readonly name: string
  readonly value: string
}
export interface AoResult {
  readonly Messages: readonly { readonly Target: string; readonly Data: string; readonly Tags: readonly Tag[] }[]
  readonly Spawns: readonly unknown[]
  readonly Assignments: readonly unknown[]
  readonly Output: unknown
  readonly Error?: string
  readonly error?: string
}
export interface AoEdge {
  readonly cursor: string
  readonly node: AoResult
}

/** What we use of aoconnect, whose own types differ from version to version. */
export interface AoConnect {
  spawn(args: {
    module: string
    scheduler: string
    signer: unknown
    tags?: readonly Tag[]
    data?: string
  }): Promise<string>
  message(args: {
    process: string
    signer: unknown
    tags?: readonly Tag[]
    data?: string
    anchor?: string
  }): Promise<string>
  result(args: { process: string; message: string }): Promise<AoResult>
  results(args: {
    process: string
    from?: string
    to?: string
    sort?: 'ASC' | 'DESC'
    limit?: number
  }): Promise<{ readonly edges: readonly AoEdge[] }>
  dryrun(args: {
    process: string
    tags?: readonly Tag[]
    data?: string
    Owner?: string
    anchor?: string
  }): Promise<AoResult>
  assign(args: { process: string; message: string; baseLayer?: boolean; exclude?: readonly string[] }): Promise<string>
  monitor(args: { process: string; signer: unknown }): Promise<string>
  unmonitor(args: { process: string; signer: unknown }): Promise<string>
}
interface AoConnectModule {
  connect(config: Readonly<Record<string, unknown>>): AoConnect
  createDataItemSigner(jwk: unknown): unknown
}

export const versions = ['0.0.98', '0.0.69'] as const
export type Version = (typeof versions)[number]

const load = async (version: Version): Promise<AoConnectModule> =>
  (version === '0.0.98'
    ? await import('@permaweb/aoconnect')
    : await import('aoconnect-0.0.69')) as unknown as AoConnectModule

/** An AO user: an unmodified aoconnect that is given nothing but URLs and a wallet. */
export class AoUser {
  readonly ao: AoConnect
  readonly signer: unknown
  readonly network: LocalNetwork

  private constructor(module: AoConnectModule, network: LocalNetwork, door: Door, slash: string) {
    const { MU, CU } = network.units(door)
    this.network = network
    this.ao = module.connect({
      MODE: 'legacy',
      MU_URL: `${MU.httpUrl}/mu${slash}`,
      CU_URL: `${CU.httpUrl}/cu${slash}`,
      GATEWAY_URL: network.gateway,
      GRAPHQL_URL: `${network.gateway}/graphql`,
      noLog: true,
    })
    this.signer = module.createDataItemSigner(network.wallet.jwk)
  }

  static async of(
    version: Version,
    { network, door, slash = '' }: { network: LocalNetwork; door: Door; slash?: string },
  ): Promise<AoUser> {
    return new AoUser(await load(version), network, door, slash)
  }

  /** A Process that believes what this network pushes. */
  spawn(module: 'echo' | 'aos', tags: readonly Tag[] = []): Promise<string> {
    const { scheduler, authority, modules } = this.network
    return this.ao.spawn({
      module: modules[module],
      scheduler,
      signer: this.signer,
      tags: [{ name: 'Authority', value: authority }, ...tags],
    })
  }

  message(
    process: string,
    action: string,
    { data, tags = [] }: { data?: string; tags?: readonly Tag[] } = {},
  ): Promise<string> {
    const all = [{ name: 'Action', value: action }, ...tags]
    return this.ao.message({ process, signer: this.signer, tags: all, ...(data === undefined ? {} : { data }) })
  }

  /** Sends Lua to an aos Process and gives what it printed or returned, as text. */
  async evaluate(process: string, lua: string): Promise<string> {
    const message = await this.message(process, 'Eval', { data: lua })
    return outputText(await this.ao.result({ process, message }))
  }
}

/** What an aos Process answered to Eval. */
export function outputText({ Output, Error: failure, error }: AoResult): string {
  if (failure !== undefined || error !== undefined) throw new Error(failure ?? error)
  const data = typeof Output === 'object' && Output !== null && 'data' in Output ? Output.data : Output
  return typeof data === 'string' ? data : JSON.stringify(data)
}

export interface Cursor {
  readonly timestamp: number
  readonly ordinate: string
  readonly sort: string
}

/** As the aos command line reads a cursor. */
export const readCursor = ({ cursor }: AoEdge): Cursor => JSON.parse(toUtf8(Buffer.from(cursor, 'base64'))) as Cursor

import { existsSync } from 'node:fs'
import { AoError } from '../lib/errors.ts'
import { adminSocketPath } from '../node/admin.ts'
import { settings } from '../node/settings.ts'
import type { UnitRole } from '../protocol/unit-record.ts'
import { endpointOf, runningTestnet } from '../testnet/layout.ts'
import { askAdmin } from './admin.ts'

/** How a user says which node a command talks to. */
export interface NodeChoice {
  /** An endpoint, the name of a testnet node, or the data directory of a node on this machine. */
  readonly node?: string | undefined
  /** Directory of the testnet to look for. */
  readonly testnet?: string | undefined
}

export const nodeFlag = '--node <node>'
export const nodeHelp =
  'node to talk to: its name in the testnet that runs here, its data directory on this machine, or host:port of its gRPC services (address@host:port to insist on who answers)'

/**
 * The gRPC endpoint of the node meant: the one named by `--node` or `AONET_NODE`, else the first of the testnet that runs
 * here (with `role`, if one is asked for), else the node on the default data directory.
 * @throws AoError `INVALID_ARGUMENT` if none is named or running, `PEER_UNREACHABLE` if none runs on the directory named.
 */
export async function nodeEndpoint(choice: NodeChoice, role?: UnitRole): Promise<string> {
  const testnet = runningTestnet(choice.testnet)
  const named = choice.node ?? process.env['AONET_NODE']
  const ofTestnet = testnet?.nodes.find(
    named === undefined ? ({ roles }) => role === undefined || roles.includes(role) : ({ name }) => name === named,
  )
  if (ofTestnet !== undefined) return endpointOf(ofTestnet)
  if (named !== undefined) return /:[0-9]+$|:\/\//.test(named) ? named : endpointAt(named)
  if (existsSync(adminSocketPath(settings.dataDir.initial))) return endpointAt(settings.dataDir.initial)
  throw new AoError(
    'INVALID_ARGUMENT',
    'no node is named, and none is running here',
    {},
    { hint: 'Start a network with `npm start`, or name a node with --node <data directory> or --node <host:port>.' },
  )
}

/** Asked of the node itself, for it may have taken any free port. */
async function endpointAt(dataDir: string): Promise<string> {
  const { address, grpc } = (await askAdmin({ dataDir }, 'status')) as Record<string, unknown>
  return `${address}@${grpc}`
}

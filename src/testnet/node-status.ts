import type { Json } from '../lib/json.ts'
import { hostAndPort } from '../lib/reachable-host.ts'
import type { TestnetNode } from './layout.ts'
import { formatTable } from './table.ts'

export type NodeStatus = { readonly [key: string]: Json }

/** A node's `/status`, or undefined if it does not answer in time. */
export async function fetchStatus(node: TestnetNode, timeoutMs = 1500): Promise<NodeStatus | undefined> {
  try {
    const response = await fetch(`${nodeUrl(node)}/status`, { signal: AbortSignal.timeout(timeoutMs) })
    return response.ok ? ((await response.json()) as NodeStatus) : undefined
  } catch {
    return undefined
  }
}

/** Does the network work as one: is each node ready, and does it know all others? */
export const isWhole = (statuses: readonly (NodeStatus | undefined)[]): boolean =>
  statuses.every(status => status?.['ready'] === true && Number(status['units']) >= statuses.length)

export const nodeUrl = ({ host, ports }: TestnetNode): string => `http://${hostAndPort(host, ports.http)}`

export interface NodeRow {
  readonly node: TestnetNode
  /** As the supervisor sees it. */
  readonly state: string
  readonly pid: number | undefined
  readonly status: NodeStatus | undefined
}

/** The table that `testnet up` keeps on the screen and `testnet status` prints. */
export const statusTable = (rows: readonly NodeRow[]): string =>
  formatTable(
    [
      'NODE',
      'ROLES',
      'STATE',
      'PID',
      'PEERS',
      'UNITS',
      'ORDERED',
      'SETTLED',
      'EVALUATED',
      'LIVE',
      'ASLEEP',
      'CRANKS OPEN',
      'GRPC',
      'HTTP',
    ],
    rows.map(({ node, state, pid, status }) => [
      node.name,
      node.roles.join('+'),
      state,
      pid ?? '-',
      number(status, 'peers'),
      number(status, 'units'),
      number(status, 'scheduler', 'assignments'),
      number(status, 'settler', 'settled'),
      number(status, 'compute', 'evaluated'),
      number(status, 'compute', 'live'),
      number(status, 'compute', 'asleep'),
      number(status, 'messenger', 'open'),
      hostAndPort(node.host, node.ports.grpc),
      nodeUrl(node),
    ]),
  )

/** A number inside a status, or `-` where the node has no such thing. */
function number(status: NodeStatus | undefined, ...path: readonly string[]): string | number {
  let value: Json | undefined = status
  for (const key of path) value = isRecord(value) ? value[key] : undefined
  return typeof value === 'number' ? value : '-'
}

const isRecord = (value: Json | undefined): value is { readonly [key: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

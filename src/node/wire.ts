import type { HttpServer } from '../http/server.ts'
import { type Component, ComponentList } from '../lib/component.ts'
import type { UnitRecord } from '../protocol/unit-record.ts'
import { CheckThreads } from './check-threads.ts'
import { SignThread } from './sign-thread.ts'
import type { NodeStatus } from './status.ts'
import type { NodeTelemetry } from './telemetry.ts'
import { type WireInput, wireBase } from './wire-base.ts'
import { wireCourt } from './wire-court.ts'
import { wireDoors } from './wire-doors.ts'
import { wireNetwork } from './wire-network.ts'
import { wireRoles } from './wire-roles.ts'

export interface WiredNode {
  readonly components: ComponentList
  readonly telemetry: NodeTelemetry
  readonly http: HttpServer
  record(): UnitRecord
  status(): Promise<NodeStatus>
  /** From now on `/ready` answers yes. */
  ready(): void
}

/** The composition root: the parts of a node, each with what it stands on, and the order in which they live. */
export function wireNode(input: WireInput): WiredNode {
  const base = wireBase(input)
  const { telemetry } = base
  const network = wireNetwork(base, {
    grpc: () => doors.grpc,
    compute: () => roles.compute,
    formats: () => roles.pool?.formats ?? [],
  })
  const roles = wireRoles(base, network, {
    onRefused: (message, error) => court.plaintiff?.onRefused(message, error),
    onShown: (assignment, after) => {
      court.watcher.onShown(assignment, after)
      court.anchors?.onAssignment(assignment)
    },
  })
  const court = wireCourt(base, network, roles)
  const doors = wireDoors(base, network, roles, court)
  network.peers.onChange(found => roles.scheduler?.onRecord(found))

  // Doors and the advertisement open last and close first; the units behind them stop after.
  const parts: readonly (Component | undefined)[] = [
    new CheckThreads(telemetry),
    new SignThread(telemetry),
    network.tunnel,
    network.remote,
    roles.abroad,
    network.host,
    network.gossip,
    roles.pool,
    roles.scheduler,
    roles.settler,
    roles.followed,
    roles.compute,
    roles.settledItems,
    roles.messenger,
    court.watcher,
    roles.intake,
    network.economy,
    court.desk,
    court.heir,
    court.answers,
    court.plaintiff,
    court.anchors,
    court.reporter,
    doors.grpc,
    doors.http,
    network.peers,
    doors.location,
    doors.admin,
  ]
  const components = new ComponentList(
    'node',
    parts.filter(part => part !== undefined),
  )
  return { components, telemetry, http: doors.http, record: doors.record, status: doors.status, ready: doors.ready }
}

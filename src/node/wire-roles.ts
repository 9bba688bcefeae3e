import { HttpForeignUnits } from '../network/foreign/units.ts'
import type { Compute, Messenger, Scheduler } from '../ports/units.ts'
import type { Assignment } from '../protocol/assignment.ts'
import type { DataItem } from '../protocol/data-item.ts'
import { LevelAssignmentLog } from '../storage/level-assignment-log.ts'
import { LevelCheckpointStore } from '../storage/level-checkpoint-store.ts'
import { LevelCrankQueue } from '../storage/level-crank-queue.ts'
import { LevelMonitorStore } from '../storage/level-monitor-store.ts'
import { LevelPromiseStore } from '../storage/level-promise-store.ts'
import { LevelResultStore } from '../storage/level-result-store.ts'
import { LevelRouteStore } from '../storage/level-route-store.ts'
import { LevelScheduleFloor } from '../storage/level-schedule-floor.ts'
import { LevelSettlementStore } from '../storage/level-settlement-store.ts'
import { LevelSignGuard } from '../storage/level-sign-guard.ts'
import { SettledItems } from '../units/compute/settled-items.ts'
import { FollowedSchedules } from '../units/routing/followed-schedules.ts'
import { ForeignSchedulers } from '../units/routing/foreign-schedulers.ts'
import { GossipIntake } from '../units/routing/gossip-intake.ts'
import { GossipSubmitter } from '../units/routing/gossip-submitter.ts'
import { Hedge } from '../units/routing/hedge.ts'
import { keptLog } from '../units/routing/kept-log.ts'
import { Routes } from '../units/routing/route.ts'
import { RoutedCompute } from '../units/routing/routed-compute.ts'
import { RoutedMessenger } from '../units/routing/routed-messenger.ts'
import { RoutedScheduler } from '../units/routing/routed-scheduler.ts'
import { UnitTracer } from '../units/trace/trace.ts'
import { sharedOf, type WireBase } from './wire-base.ts'
import { muScheduler, promiseCourt } from './wire-economy.ts'
import type { WiredNetwork } from './wire-network.ts'
import {
  computeUnit,
  foreignSigner,
  messengerUnit,
  schedulerGossip,
  schedulerUnit,
  settlerUnit,
  vmPool,
} from './wire-units.ts'

interface Hears {
  /** A message that its SU would not order. */
  onRefused(message: DataItem, error: unknown): void
  /** An Assignment that an SU showed to this node. `after`: the one that it does not follow. */
  onShown(assignment: Assignment, after?: Assignment): void
}

export type WiredRoles = ReturnType<typeof wireRoles>

/** SU, CU and MU of this node, and the ways to those of others. A unit of a role that the node has not is undefined. */
export function wireRoles(base: WireBase, network: WiredNetwork, { onRefused, onShown }: Hears) {
  const { options, keys, telemetry, store, session, address, arweave, clock, params } = base
  const { gossip, directory, remote, economy, memory } = network
  const shared = sharedOf(base)
  const local = { address }

  const assignments = new LevelAssignmentLog(store)
  const onOrdered = (newest: Assignment): void => compute?.onAssignment(newest)
  const scheduler = schedulerUnit(
    {
      ...{ ...shared, log: assignments, guard: new LevelSignGuard(store), floor: new LevelScheduleFloor(store) },
      ...{ session, peers: memory, onOrdered, hosts: economy },
      gossip: schedulerGossip(gossip, base.signer, options),
    },
    options,
  )
  const settling = { ...shared, log: assignments, store: new LevelSettlementStore(store) }
  const settler = scheduler && settlerUnit(settling, options)

  const abroad = options.foreignSchedulers
    ? new HttpForeignUnits(telemetry, { allowPrivate: base.isTestnet })
    : undefined
  const foreign =
    abroad && new ForeignSchedulers({ arweave, units: abroad, network: base.networkHash, clock, telemetry })
  const routes = new Routes({
    ...{ local: { address, scheduler }, directory, remote, arweave, telemetry, hosts: economy, foreign },
    store: new LevelRouteStore(store),
  })

  const pool = vmPool(options, telemetry)
  const results = new LevelResultStore(store)
  const followed = pool && new FollowedSchedules({ telemetry, onAssignment: onOrdered })
  const compute =
    pool &&
    computeUnit(
      {
        ...{ ...shared, pool, gossip, params, results, hosts: economy },
        routes: followed?.over(routes, scheduler) ?? routes,
        checkpoints: new LevelCheckpointStore(base.checkpoints),
        onRead: onShown,
      },
      options,
    )
  const settledItems = compute && new SettledItems({ results, arweave, telemetry })

  const kept = keptLog({ log: assignments, results })
  const routedScheduler = new RoutedScheduler({ routes, directory, kept, onRefused, onOrdered: onShown })
  const hedge = new Hedge(telemetry.metrics)
  const routedCompute = new RoutedCompute({ local: { address, compute }, directory, remote, clock, hedge })
  const messenger = messengerUnit(
    {
      ...{ ...shared, routes, hosts: economy, compute: routedCompute, directory, remote },
      scheduler: muScheduler(routedScheduler, options),
      sharesStore: scheduler !== undefined && compute !== undefined,
      queue: new LevelCrankQueue(store),
      monitors: new LevelMonitorStore(store),
      promises: new LevelPromiseStore(store),
      court: promiseCourt(economy, options),
      foreignSigner: foreignSigner(options, keys),
    },
    options,
  )
  const found = { scheduler: routedScheduler, compute: routedCompute, directory, remote, arweave }
  const tracer = new UnitTracer({ ...found, local: { address, messenger } })
  const submitter = new GossipSubmitter({ gossip, scheduler: routedScheduler })
  const intake = new GossipIntake({ ...shared, gossip, directory, scheduler: routedScheduler, messenger })

  // A call that came over the wire is answered here if this node has the role; only without it is it passed on, so
  // that no two nodes hand a call to each other for ever.
  const units: { scheduler: Scheduler; compute: Compute; messenger: Messenger } = {
    scheduler: routedScheduler,
    compute: compute ?? routedCompute,
    messenger: messenger ?? new RoutedMessenger({ local, directory, remote, byGossip: submitter }),
  }
  return {
    ...{ assignments, scheduler, settler, abroad, routes, pool, followed, compute, settledItems },
    ...{ kept, messenger, tracer, submitter, intake, units },
  }
}

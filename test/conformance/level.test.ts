import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger } from '../../src/lib/telemetry.ts'
import { openStore } from '../../src/storage/level.ts'
import { LevelAssignmentLog } from '../../src/storage/level-assignment-log.ts'
import { LevelCheckpointStore } from '../../src/storage/level-checkpoint-store.ts'
import { LevelCrankQueue } from '../../src/storage/level-crank-queue.ts'
import { LevelEconomyStore } from '../../src/storage/level-economy-store.ts'
import { LevelMonitorStore } from '../../src/storage/level-monitor-store.ts'
import { LevelPromiseStore } from '../../src/storage/level-promise-store.ts'
import { LevelResultStore } from '../../src/storage/level-result-store.ts'
import { LevelRouteStore } from '../../src/storage/level-route-store.ts'
import { LevelScheduleFloor } from '../../src/storage/level-schedule-floor.ts'
import { LevelSettlementStore } from '../../src/storage/level-settlement-store.ts'
import { LevelSignGuard } from '../../src/storage/level-sign-guard.ts'
import type { Store } from '../../src/storage/store.ts'
import { assignmentLogSuite } from './assignment-log.ts'
import { checkpointStoreSuite } from './checkpoint-store.ts'
import { crankQueueSuite } from './crank-queue.ts'
import { economyStoreSuite } from './economy-store.ts'
import { monitorStoreSuite } from './monitor-store.ts'
import { promiseStoreSuite } from './promise-store.ts'
import { resultStoreSuite } from './result-store.ts'
import { routeStoreSuite } from './route-store.ts'
import { scheduleFloorStoreSuite } from './schedule-floor-store.ts'
import { settlementStoreSuite } from './settlement-store.ts'
import { signGuardSuite } from './sign-guard.ts'

async function onDisk<T>(make: (store: Store) => T): Promise<T & { close(): Promise<void> }> {
  const dir = await mkdtemp(join(tmpdir(), 'aonet-conformance-'))
  const store = await openStore(dir, { log: silentLogger })
  const close = async (): Promise<void> => {
    await store.close()
    await rm(dir, { recursive: true, force: true })
  }
  return { ...make(store), close }
}

assignmentLogSuite('on LevelDB', () => onDisk(store => ({ log: new LevelAssignmentLog(store) })))
resultStoreSuite('on LevelDB', () => onDisk(store => ({ store: new LevelResultStore(store) })))
checkpointStoreSuite('on LevelDB', () => onDisk(store => ({ store: new LevelCheckpointStore(store) })))
crankQueueSuite('on LevelDB', () => onDisk(store => ({ queue: new LevelCrankQueue(store) })))
economyStoreSuite('on LevelDB', () => onDisk(store => ({ store: new LevelEconomyStore(store) })))
routeStoreSuite('on LevelDB', () => onDisk(store => ({ store: new LevelRouteStore(store) })))
monitorStoreSuite('on LevelDB', () =>
  onDisk(store => ({ store: new LevelMonitorStore(store), again: () => new LevelMonitorStore(store) })),
)
promiseStoreSuite('on LevelDB', () =>
  onDisk(store => ({ store: new LevelPromiseStore(store), again: () => new LevelPromiseStore(store) })),
)
scheduleFloorStoreSuite('on LevelDB', () =>
  onDisk(store => ({ store: new LevelScheduleFloor(store), again: () => new LevelScheduleFloor(store) })),
)
settlementStoreSuite('on LevelDB', () => onDisk(store => ({ store: new LevelSettlementStore(store) })))
signGuardSuite('on LevelDB', () =>
  onDisk(store => ({ guard: new LevelSignGuard(store), again: () => new LevelSignGuard(store) })),
)

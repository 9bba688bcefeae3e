import {
  MemoryAssignmentLog,
  MemoryCheckpointStore,
  MemoryCrankQueue,
  MemoryEconomyStore,
  MemoryMonitorStore,
  MemoryPromiseStore,
  MemoryResultStore,
  MemoryRouteStore,
  MemoryScheduleFloor,
  MemorySettlementStore,
  MemorySignGuard,
} from '../../src/storage/memory.ts'
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

const close = async (): Promise<void> => undefined

assignmentLogSuite('in memory', async () => ({ log: new MemoryAssignmentLog(), close }))
resultStoreSuite('in memory', async () => ({ store: new MemoryResultStore(), close }))
checkpointStoreSuite('in memory', async () => ({ store: new MemoryCheckpointStore(), close }))
crankQueueSuite('in memory', async () => ({ queue: new MemoryCrankQueue(), close }))
economyStoreSuite('in memory', async () => ({ store: new MemoryEconomyStore(), close }))
routeStoreSuite('in memory', async () => ({ store: new MemoryRouteStore(), close }))
settlementStoreSuite('in memory', async () => ({ store: new MemorySettlementStore(), close }))
monitorStoreSuite('in memory', async () => {
  const store = new MemoryMonitorStore()
  return { store, again: () => store, close }
})
promiseStoreSuite('in memory', async () => {
  const store = new MemoryPromiseStore()
  return { store, again: () => store, close }
})
scheduleFloorStoreSuite('in memory', async () => {
  const store = new MemoryScheduleFloor()
  return { store, again: () => store, close }
})
signGuardSuite('in memory', async () => {
  const guard = new MemorySignGuard()
  return { guard, again: () => guard, close }
})

/** Every port in memory, held to the same suites as those on disk. */
export { MemoryAssignmentLog } from './memory-assignment-log.ts'
export { MemoryCheckpointStore } from './memory-checkpoint-store.ts'
export { MemoryCrankQueue } from './memory-crank-queue.ts'
export { MemoryEconomyStore } from './memory-economy-store.ts'
export { MemoryResultStore } from './memory-result-store.ts'
export { MemoryRouteStore } from './memory-route-store.ts'
export { MemorySettlementStore } from './memory-settlement-store.ts'
export { MemorySignGuard } from './memory-sign-guard.ts'

// An SU that orders until it is killed. It tells its parent each signature it makes, and each answer it gives.
import { MemoryArweave } from '../../../src/arweave/memory-arweave.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { AoError } from '../../../src/lib/errors.ts'
import { silentLogger, silentTelemetry } from '../../../src/lib/telemetry.ts'
import { MemoryGossipHub } from '../../../src/network/memory-gossip.ts'
import { SignThread } from '../../../src/node/sign-thread.ts'
import { parseAssignment } from '../../../src/protocol/assignment.ts'
import type { Signer } from '../../../src/protocol/keys.ts'
import { openStore } from '../../../src/storage/level.ts'
import { LevelAssignmentLog } from '../../../src/storage/level-assignment-log.ts'
import { LevelScheduleFloor } from '../../../src/storage/level-schedule-floor.ts'
import { LevelSignGuard } from '../../../src/storage/level-sign-guard.ts'
import { SchedulerUnit } from '../../../src/units/scheduler/scheduler.ts'
import { defaultSchedulerUnitOptions } from '../../../src/units/scheduler/scheduler-options.ts'
import { aMessage, aProcess, testSigner } from '../../support/builders.ts'
import { eventually } from '../../support/eventually.ts'

const [dir = '', round = '0', kind = 'watched'] = process.argv.slice(2)
const key = testSigner('su')
const watched: Signer = {
  address: key.address,
  sign: async draft => {
    const item = await key.sign(draft)
    const { process: of, nonce, id } = parseAssignment(item)
    process.send?.({ event: 'signed', process: of, nonce, id })
    return item
  },
}

// A key in this program signs unseen, and batches beside the main thread.
const signer = kind === 'sealed' ? key : watched
if (kind === 'sealed') await new SignThread(silentTelemetry).start()

const store = await openStore(dir, { log: silentLogger })
const log = new LevelAssignmentLog(store)
const unit = new SchedulerUnit(
  {
    ...{ signer, log, guard: new LevelSignGuard(store), clock: systemClock, telemetry: silentTelemetry },
    ...{ floor: new LevelScheduleFloor(store), arweave: new MemoryArweave(), gossip: new MemoryGossipHub().join('su') },
  },
  // Small batches: more of the places where a crash can fall. Of a sealed key large enough to be signed aside.
  { ...defaultSchedulerUnitOptions, headPollMs: 50, maxBatch: kind === 'sealed' ? 10 : 5 },
)
await unit.start()
try {
  await Promise.all(['a', 'b', 'c'].flatMap(name => [1, 2, 3, 4, 5, 6, 7, 8].map(submitter => submit(name, submitter))))
} catch (error) {
  process.send?.({ event: 'failed', code: AoError.from(error).code })
}

async function submit(name: string, submitter: number): Promise<void> {
  const item = await aProcess({ data: name })
  await eventually('a block', () => unit.schedule(item).catch(() => undefined))
  for (let i = 0; ; i++) {
    // Every third is one that earlier rounds and other submitters send too.
    const data = i % 3 === 0 ? `shared ${i}` : `round ${round} submitter ${submitter} ${i}`
    const { process: of, nonce, id } = await unit.schedule(await aMessage(item, { data }))
    process.send?.({ event: 'answered', process: of, nonce, id })
  }
}

// A process that writes, drops and sweeps checkpoints until it is killed, and tells its parent each that is written.
import { silentLogger } from '../../../src/lib/telemetry.ts'
import { openStore } from '../../../src/storage/level.ts'
import { LevelCheckpointStore } from '../../../src/storage/level-checkpoint-store.ts'
import { aProcess, messages, schedule } from '../../support/builders.ts'
import { aCheckpoint } from '../../support/checkpoints.ts'
import { SeededRandom } from '../../support/random.ts'

const [dir = '', seed = '0'] = process.argv.slice(2)
const store = new LevelCheckpointStore(await openStore(dir, { log: silentLogger }))
const random = new SeededRandom(Number(seed))

/** Several Processes at once; most of their pages are common to all. */
async function writeFor(name: string): Promise<void> {
  const item = await aProcess({ data: name })
  const rows = (await schedule(item, await messages(item, 12))).map(({ assignment }) => assignment)
  for (let i = 0; ; i++) {
    const assignment = rows[random.below(rows.length)]
    if (assignment === undefined) continue
    const fills = Array.from({ length: 6 }, () => random.below(16))
    await store.put(aCheckpoint(assignment, fills), nonces => nonces.slice(0, 1 + random.below(5)))
    process.send?.({ process: assignment.process, nonce: assignment.nonce })
    if (i % 5 === 0) await store.remove(assignment.process, [assignment.nonce])
    if (i % 3 === 0) await store.sweep(1 + random.below(20))
  }
}

await Promise.all(['a', 'b', 'c'].map(writeFor))

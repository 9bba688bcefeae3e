// A process that appends to a log until it is killed, and tells its parent each row that is on disk.
import { AoError } from '../../../src/lib/errors.ts'
import { silentLogger } from '../../../src/lib/telemetry.ts'
import {
  draftAssignment,
  nextAssignment,
  parseAssignment,
  type ScheduledMessage,
} from '../../../src/protocol/assignment.ts'
import type { ProcessId } from '../../../src/protocol/ids.ts'
import { openStore } from '../../../src/storage/level.ts'
import { LevelAssignmentLog } from '../../../src/storage/level-assignment-log.ts'
import { aMessage, anId, aProcess, processIdOf, testSigner } from '../../support/builders.ts'

const [dir = '', round = '0'] = process.argv.slice(2)
const block = { height: 1_500_000, hash: anId('block'), timestamp: 1 }
const su = testSigner('su')
const log = new LevelAssignmentLog(await openStore(dir, { log: silentLogger }))

try {
  await Promise.all(['a', 'b', 'c'].map(writeFor))
} catch (error) {
  process.send?.({ failed: AoError.from(error).code })
}

async function writeFor(name: string): Promise<void> {
  const item = await aProcess({ data: name })
  for (let i = 0; ; i++) {
    const first = (await log.tail(processIdOf(item))) === undefined ? [item] : []
    const following = [1, 2, 3].map(n => aMessage(item, { data: `${round} ${i} ${n} ${'x'.repeat(500)}` }))
    const batch = await chain(processIdOf(item), [...first, ...(await Promise.all(following))])
    await log.append(batch)
    for (const { assignment } of batch)
      process.send?.({ process: assignment.process, nonce: assignment.nonce, id: assignment.id })
  }
}

async function chain(
  id: ProcessId,
  items: readonly Awaited<ReturnType<typeof aMessage>>[],
): Promise<ScheduledMessage[]> {
  let previous = await log.tail(id)
  const batch: ScheduledMessage[] = []
  for (const message of items) {
    const fields = nextAssignment(previous, { process: id, message: message.id, now: Date.now(), block })
    previous = parseAssignment(await su.sign(draftAssignment(fields)))
    batch.push({ assignment: previous, message })
  }
  return batch
}

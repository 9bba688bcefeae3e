import assert from 'node:assert/strict'
import { once } from 'node:events'
import { silentLogger } from '../../../src/lib/telemetry.ts'
import { type Assignment, checkFollows } from '../../../src/protocol/assignment.ts'
import type { Nonce, ProcessId } from '../../../src/protocol/ids.ts'
import { openStore } from '../../../src/storage/level.ts'
import { LevelAssignmentLog } from '../../../src/storage/level-assignment-log.ts'
import { withTempDir } from '../../support/builders.ts'
import { forkScript, killHard } from '../../support/fork.ts'

interface Told {
  readonly event: 'signed' | 'answered' | 'failed'
  readonly process: ProcessId
  readonly nonce: Nonce
  readonly id: string
}

/** `npm test` runs three rounds; set AONET_CRASH_ROUNDS for a long run. */
const rounds = Number(process.env['AONET_CRASH_ROUNDS'] ?? 3)

describe('the scheduler over kill -9', function () {
  this.timeout(60_000 + rounds * 20_000)

  for (const kind of ['watched', 'sealed'] as const) {
    const whose = kind === 'sealed' ? 'with a key in this program' : 'with a signer that others watch'
    it(`keeps every answer, gives no nonce twice or to nobody, and signs nothing else for a place it once signed, ${whose}`, () =>
      keepsAll(kind))
  }

  const keepsAll = (kind: string): Promise<void> =>
    withTempDir(async dir => {
      const signed = new Map<string, string>()
      const answered: Told[] = []
      for (let round = 1; round <= rounds; round++) {
        for (const told of await orderUntilKilled(dir, round, kind)) {
          assert.notEqual(told.event, 'failed', JSON.stringify(told))
          if (told.event === 'answered') answered.push(told)
          else assertSigned(signed, told)
        }
        const store = await openStore(dir, { log: silentLogger })
        try {
          await assertWhole(new LevelAssignmentLog(store), { answered, signed })
        } finally {
          await store.close()
        }
      }
    })
})

const childFile = import.meta.url.endsWith('.ts') ? './su-child.ts' : './su-child.js'

/** A place has one Assignment, in whatever round it is signed. */
function assertSigned(signed: Map<string, string>, { process, nonce, id }: Told): void {
  const place = `${process} ${nonce}`
  assert.equal(signed.get(place) ?? id, id, `two signatures for nonce ${nonce} of ${process}`)
  signed.set(place, id)
}

/** Lets the SU answer for a while, kills it in the middle of more, and hears it out. */
async function orderUntilKilled(dir: string, round: number, kind: string): Promise<readonly Told[]> {
  const child = forkScript(new URL(childFile, import.meta.url), [dir, String(round), kind])
  const told: Told[] = []
  let answers = 0
  const heardOut = once(child, 'disconnect')
  await new Promise<void>(resolve => {
    child.on('message', message => {
      const one = message as Told
      told.push(one)
      if (one.event === 'answered') answers++
      if (answers >= 90 + ((round * 37) % 50) || one.event === 'failed') resolve()
    })
    child.once('exit', resolve)
  })
  // Right after an answer is always the same moment of a batch; a crash comes at any.
  await new Promise(resolve => setTimeout(resolve, (round * 7) % 20))
  const ended = child.exitCode
  await killHard(child)
  await heardOut
  assert.equal(ended, null, 'the child ended by itself')
  return told
}

async function assertWhole(
  log: LevelAssignmentLog,
  { answered, signed }: { readonly answered: readonly Told[]; readonly signed: ReadonlyMap<string, string> },
): Promise<void> {
  for (const { process, nonce, id } of answered) {
    assert.equal((await log.at(process, nonce))?.id, id, `the answered nonce ${nonce} of ${process} is lost`)
  }
  for (const process of new Set(answered.map(one => one.process))) {
    let previous: Assignment | undefined
    const messages = new Set<string>()
    for await (const { assignment, message } of log.read(process, { from: 0 as Nonce })) {
      checkFollows(process, previous, assignment)
      assert.equal(message?.id, assignment.message)
      messages.add(assignment.message)
      const told = signed.get(`${process} ${assignment.nonce}`)
      assert.equal(told ?? assignment.id, assignment.id, 'what stands in the log is what was signed')
      previous = assignment
    }
    assert.equal(messages.size, (previous?.nonce ?? -1) + 1, 'each message stands at one nonce')
  }
}

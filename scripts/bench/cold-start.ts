import { once } from 'node:events'
import type { Nonce, ProcessId } from '../../src/protocol/ids.ts'
import { withTempDir } from '../../test/support/builders.ts'
import { forkScript, killHard } from '../../test/support/fork.ts'
import type { BenchLine } from './main.ts'
import { writeAosLog } from './support/aos-schedule.ts'
import { ask, coldCuFile } from './support/cold-client.ts'
import type { ColdReply } from './support/cold-cu.ts'
import { median } from './support/measure.ts'

/** Messages evaluated after the last clean stop when the CU is killed: a checkpoint is nearly due again. */
const unsavedMessages = 600
const cleanLimitMs = 500
const killLimitMs = 2_500
const rounds = 3

/**
 * First result of a freshly started CU, from the request on, for ever longer logs of an aos token: after a clean stop,
 * after kill -9, and without checkpoints. `ratioToReplay` is how many times faster than without.
 */
export default async function* coldStart(): AsyncIterable<BenchLine> {
  const lengths = process.env['AONET_BENCH_FULL'] === '1' ? [10, 1_000, 10_000, 50_000] : [10, 1_000, 10_000]
  const lines: BenchLine[] = await withTempDir(async dir => {
    const last = (lengths.at(-1) ?? 0) + (unsavedMessages + 2 * rounds) * lengths.length
    const [id] = await writeAosLog(dir, { processes: 1, messages: last })
    if (id === undefined) throw new Error('no Process')
    const run = new Run(dir, id)
    const found: BenchLine[] = []
    for (const length of lengths) found.push(...(await run.measure(length)))
    return [...found, flatness(found)]
  })
  yield* lines
}

class Run {
  readonly #dir: string
  readonly #process: ProcessId
  /** The last nonce that has a result. */
  #at = -1

  constructor(dir: string, process: ProcessId) {
    this.#dir = dir
    this.#process = process
  }

  async measure(length: number): Promise<readonly BenchLine[]> {
    await this.#evaluate(length - 1 - this.#at, 'stop')
    const clean: ColdReply[] = []
    for (let i = 0; i < rounds; i++) clean.push(await this.#evaluate(1, 'stop'))
    const killed: ColdReply[] = []
    for (let i = 0; i < rounds; i++) {
      await this.#evaluate(length < unsavedMessages ? 1 : unsavedMessages / rounds, 'kill')
      killed.push(await this.#evaluate(1, 'kill'))
    }
    const replayed = await this.#evaluate(1, 'kill', 'without')
    const line = (name: string, replies: readonly ColdReply[], limitMs: number): BenchLine => {
      const ms = median(replies.map(reply => reply.ms))
      return {
        ...{ case: `${name}, ${length} messages`, firstResultMs: Math.round(ms), length },
        cpuMs: Math.round(median(replies.map(reply => reply.cpuMs))),
        ratioToLimit: Number((limitMs / ms).toFixed(2)),
        ratioToLimitCpu: Number((limitMs / median(replies.map(reply => reply.cpuMs))).toFixed(2)),
        ratioToReplay: Number((replayed.ms / ms).toFixed(2)),
      }
    }
    return [
      line('after a clean stop', clean, cleanLimitMs),
      line('after kill -9', killed, killLimitMs),
      {
        ...{ case: `without checkpoints, ${length} messages`, firstResultMs: Math.round(replayed.ms), length },
        cpuMs: Math.round(replayed.cpuMs),
      },
    ]
  }

  /** Starts the CU, asks for the result so many messages further on, and ends it. */
  async #evaluate(messages: number, end: 'stop' | 'kill', checkpoints = 'with'): Promise<ColdReply> {
    const child = forkScript(coldCuFile, [this.#dir, checkpoints])
    await once(child, 'message')
    this.#at += messages
    const reply = await ask(child, { type: 'result', process: this.#process, nonce: this.#at as Nonce })
    if (end === 'stop') await ask(child, { type: 'stop' })
    await killHard(child)
    return reply
  }
}

/** The first result of the longest log beside that of the one before: 1 is flat, below it grows with the log. */
function flatness(lines: readonly BenchLine[]): BenchLine {
  const clean = lines.filter(line => line.case.startsWith('after a clean stop'))
  const [before, longest] = clean.slice(-2)
  const ratio = Number(before?.['cpuMs']) / Number(longest?.['cpuMs'])
  return {
    case: `flatness, ${longest?.['length']} beside ${before?.['length']} messages`,
    ratioToShorter: Number(ratio.toFixed(2)),
  }
}

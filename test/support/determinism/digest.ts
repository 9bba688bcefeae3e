import { createHash } from 'node:crypto'
import type { LiveProcess, ProcessSetup, Step, VmImage } from '../../../src/ports/vm.ts'
import { resultToJson } from '../../../src/protocol/result.ts'
import type { WorkerVmPool } from '../../../src/vm/pool.ts'
import type { Scenario } from './scenarios.ts'

/** What all nodes must agree on, in few letters: hashes of all results, of all gas, and of the last state. */
export interface Digest {
  readonly results: string
  readonly gas: string
  readonly state: string
}

/** One live instance from the first message to the last. */
export async function continuous(scenario: Scenario, pool: WorkerVmPool): Promise<Digest> {
  const live = await pool.open(await scenario.setup())
  const steps = await apply(live, scenario, 0, scenario.messages.length)
  return digest(steps, live)
}

/** Each part of the messages in another pool, which goes on from a snapshot of the one before. */
export async function restored(scenario: Scenario, pools: readonly WorkerVmPool[], parts: number): Promise<Digest> {
  const { length } = scenario.messages
  const steps: Step[] = []
  let live: LiveProcess | undefined
  for (let part = 0; part < parts; part++) {
    const pool = pools[part % pools.length] as WorkerVmPool
    const setup: ProcessSetup = { ...(await scenario.setup()), image: await live?.snapshot() }
    await live?.close()
    live = await pool.open(setup)
    const [from, to] = [Math.floor((length * part) / parts), Math.floor((length * (part + 1)) / parts)]
    steps.push(...(await apply(live, scenario, from, to)))
  }
  return digest(steps, live as LiveProcess)
}

async function apply(live: LiveProcess, { messages }: Scenario, from: number, to: number): Promise<Step[]> {
  const steps: Step[] = []
  for (const message of messages.slice(from, to)) steps.push(await live.handle(message))
  return steps
}

async function digest(steps: readonly Step[], live: LiveProcess): Promise<Digest> {
  const results = steps.map(({ evaluation }) => ({ ...resultToJson(evaluation), GasUsed: 0 }))
  const image = await live.snapshot()
  await live.close()
  if (process.env['AONET_SHOW_RESULTS'] === '1') show(steps)
  return {
    results: hash(JSON.stringify(results)),
    gas: hash(steps.map(({ evaluation }) => evaluation.gasUsed).join()),
    state: hash(...stateParts(image)),
  }
}

/** For whoever has to find out which message differs. */
function show(steps: readonly Step[]): void {
  for (const [i, { evaluation }] of steps.entries()) {
    const { error, output, gasUsed } = evaluation
    process.stderr.write(`${i} ${gasUsed} ${(error ?? JSON.stringify(output)).slice(0, 200)}\n`)
  }
}

function stateParts({ memoryBytes, globals, pages }: VmImage): (string | Uint8Array)[] {
  return [`${memoryBytes} ${globals.join()}`, ...pages.flatMap(({ index, bytes }) => [` ${index} `, bytes])]
}

function hash(...parts: readonly (string | Uint8Array)[]): string {
  const sum = createHash('sha256')
  for (const part of parts) sum.update(part)
  return sum.digest('hex').slice(0, 16)
}

import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Step } from '../../../src/ports/vm.ts'
import { elsewhere, type Lane, Resident } from '../../../src/vm/lane.ts'
import type { LiveProcess } from '../../../src/vm/live-process.ts'
import { threadClock } from '../../../src/vm/thread.ts'

const slice = 100n
const live = { slice } as LiveProcess

const evaluated = (gasUsed: bigint): Step['evaluation'] => ({ gasUsed }) as Step['evaluation']
const busy = async (ms: number): Promise<Step['evaluation']> => {
  for (const start = performance.now(); performance.now() - start < ms; );
  return evaluated(1n)
}
const waiting = async (ms: number): Promise<Step['evaluation']> => {
  await sleep(ms)
  return evaluated(1n)
}
const short = async () => evaluated(1n)

const resident = (lane: Lane): Resident => new Resident(live, { lane, sliceMs: 50 }, threadClock())

describe('vm/lane', () => {
  it('a Process whose message takes its thread long goes to the slow lane with the next', async () => {
    const process = resident('quick')
    await process.call(() => busy(200)) // the first pays for compiling
    assert.notEqual(await process.call(() => busy(200)), elsewhere)
    assert.equal(await process.call(short), elsewhere)
  })

  it('a message that waits for a busy machine makes nobody leave', async function () {
    if (globalThis.process.platform !== 'linux') this.skip()
    const process = resident('quick')
    for (let i = 0; i < 3; i++) assert.notEqual(await process.call(() => waiting(200)), elsewhere)
  })

  it('whoever used up its slice of gas leaves at once, and the message is evaluated elsewhere', async () => {
    const process = resident('quick')
    assert.equal(await process.call(async () => undefined), elsewhere)
    assert.equal(await process.call(short), elsewhere)
  })

  it('a Process of the slow lane goes back after a row of short messages', async () => {
    const process = resident('slow')
    let stayed = 0
    while ((await process.call(short)) !== elsewhere) stayed++
    assert.ok(stayed > 10 && stayed < 30, String(stayed))
  })
})

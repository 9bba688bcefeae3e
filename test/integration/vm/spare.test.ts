import assert from 'node:assert/strict'
import type { VmImage, VmMessage } from '../../../src/ports/vm.ts'
import type { ProcessId } from '../../../src/protocol/ids.ts'
import type { AosName } from '../../../src/testnet/aos-module.ts'
import { aosVm } from '../../../src/vm/aos-vm.ts'
import { LiveProcess } from '../../../src/vm/live-process.ts'
import type { Machine, PreparedModule } from '../../../src/vm/machine.ts'
import { SpareInstance } from '../../../src/vm/spare.ts'
import { aosModule } from '../../support/modules/aos.ts'
import { mixedMessages } from '../../support/modules/aos-messages.ts'
import { environmentOf, evalOf, idOf, mebibytes } from '../../support/modules/process.ts'
import { pagesOf } from '../../support/modules/watched.ts'

const [first, second] = [idOf('first'), idOf('second')] as const
const limits = { memoryBytes: mebibytes(256), gas: 10n ** 11n }
const asked = 60
/** Fills pages that the other Process has not. */
const more = 'More = ("x"):rep(1 << 20)'
/** What the Process that had the instance before does with it, in the end. */
const lastDeeds = {
  'an answer': 'return 1',
  'an error': 'Lost = ("x"):rep(1000); error(Lost:sub(1, 5))',
  'endless recursion': 'local function f() return 1 + f() end return f()',
  'no gas left': 'while true do end',
}

for (const name of ['aos2_0_4_32', 'aos2_0_6'] as const satisfies readonly AosName[]) {
  describe(`${name}: an instance that was another Process's`, function () {
    this.timeout(120_000)
    let module: PreparedModule
    let started: Machine[]

    const open = (process: ProcessId, spare?: SpareInstance, image?: VmImage): Promise<LiveProcess> =>
      LiveProcess.open(module, {
        ...{ environment: environmentOf(process), gas: limits.gas, spare },
        image: structuredClone(image),
      })
    const tell = async (live: LiveProcess, messages: readonly VmMessage[]) => {
      const steps = []
      for (const message of messages) steps.push(await live.handle(message))
      return steps
    }

    before(async () => {
      const { bytes, format } = await aosModule(name)
      const prepared = aosVm.prepare(bytes, format, limits)
      module = {
        ...prepared,
        instantiate: async (...setup) => {
          const machine = await prepared.instantiate(...setup)
          started.push(machine)
          return machine
        },
      }
    })
    beforeEach(() => {
      started = []
    })

    for (const [deed, lua] of Object.entries(lastDeeds)) {
      it(`gives the results and the state of a new one, after ${deed}`, async () => {
        const messages = mixedMessages(second, asked)
        const alone = await open(second)
        await tell(alone, messages.slice(0, 20))
        const image = await alone.snapshot()
        const expected = await tell(alone, messages.slice(20))
        const [{ memory } = assert.fail()] = started

        const spare = new SpareInstance()
        const before = await open(first, spare)
        await tell(before, [...mixedMessages(first, asked), evalOf(first, asked, more), evalOf(first, asked + 1, lua)])
        const count = started.length
        before.close()
        const after = await open(second, spare, image)
        assert.equal(started.length, count, 'it was opened on a new instance')
        const { memory: reused } = started.at(-1) as Machine
        assert.deepEqual(
          pagesOf(new Uint8Array(reused.buffer)).map(([index]) => index),
          image.pages.map(({ index }) => index),
        )
        const found = await tell(after, messages.slice(20))
        assert.deepEqual(found, expected)
        assert.equal((await after.snapshot()).stateRoot, (await alone.snapshot()).stateRoot)
        assert.deepEqual(pagesOf(new Uint8Array(reused.buffer)), pagesOf(new Uint8Array(memory.buffer)))
        assert.equal((await open(second, spare, image)) instanceof LiveProcess && started.length, count + 1)
      })
    }

    it('is not taken where its memory has another length, or kept where it is large', async () => {
      const wide = async (process: ProcessId, lua: string, spare?: SpareInstance): Promise<LiveProcess> => {
        const live = await open(process, spare)
        await tell(live, [...mixedMessages(process, 4), evalOf(process, 4, lua)])
        return live
      }
      const [small, large] = ['return 1', 'Wide = ("x"):rep(20 << 20)'] as const
      for (const [before, after] of [
        [small, large],
        [large, small],
        [large, large],
      ] as const) {
        const spare = new SpareInstance()
        const image = await (await wide(second, after)).snapshot()
        const closed = await wide(first, before, spare)
        closed.close()
        const count = started.length
        await open(second, spare, image)
        assert.equal(started.length, count + 1)
      }
    })
  })
}

import assert from 'node:assert/strict'
import type { VmMessage } from '../../../src/ports/vm.ts'
import type { Evaluation } from '../../../src/protocol/result.ts'
import type { AosName } from '../../../src/testnet/aos-module.ts'
import { aosVm } from '../../../src/vm/aos-vm.ts'
import { LiveProcess } from '../../../src/vm/live-process.ts'
import { aosModule } from '../../support/modules/aos.ts'
import { mixedMessages } from '../../support/modules/aos-messages.ts'
import { environmentOf, evalOf, idOf, mebibytes } from '../../support/modules/process.ts'
import { runStock } from '../../support/modules/stock-loop.ts'
import { type Pages, watched } from '../../support/modules/watched.ts'

const process_ = idOf('process')
const environment = environmentOf(process_)
const slow = process.env['AONET_SLOW_TESTS'] === '1'
const count = slow ? 2_100 : 152

interface Outcome {
  readonly evaluations: readonly Evaluation[]
  readonly pages: Pages
  readonly root: string
}

/** @param dryRuns between the messages, so many at a time. */
async function runOurs(name: AosName, messages: readonly VmMessage[], dryRuns = 0): Promise<Outcome> {
  const { bytes, format } = await aosModule(name)
  const limits = { memoryBytes: mebibytes(256), gas: 10n ** 13n }
  const { module, pages } = watched(aosVm.prepare(bytes, format, limits))
  const live = await LiveProcess.open(module, { environment, gas: limits.gas })
  const evaluations: Evaluation[] = []
  for (const [nonce, message] of messages.entries()) {
    evaluations.push((await live.handle(message)).evaluation)
    for (let i = 0; i < dryRuns; i++) await live.dryRun(evalOf(process_, nonce + 1, 'Counter = 99; return Counter'))
  }
  return { evaluations, root: (await live.snapshot()).stateRoot, pages: pages() }
}

for (const name of ['aos2_0_4_32', 'aos2_0_6'] as const) {
  describe(`${name} beside the stock loop`, function () {
    this.timeout(slow ? 1_200_000 : 120_000)

    it(`has its results and its state after ${count} messages of many kinds, failures among them`, async () => {
      const messages = mixedMessages(process_, count)
      const { bytes, format } = await aosModule(name)
      const stock = await runStock({ bytes, format, environment, messages, ourHost: true })
      const ours = await runOurs(name, messages)
      for (const [nonce, { gasUsed, ...evaluation }] of ours.evaluations.entries()) {
        assert.ok(gasUsed > 1_000_000n, `message ${nonce} used ${gasUsed} gas`)
        // The stock loop counts no gas for this format.
        assert.deepEqual({ ...evaluation, gasUsed: 0n }, stock.evaluations[nonce], `message ${nonce}`)
      }
      const failed = ours.evaluations.filter(({ error }) => error !== undefined).length
      assert.ok(failed * 10 >= count, `${failed} of ${count} failed`)
      assert.ok(ours.pages.length > 20)
      assert.deepEqual(ours.pages, stock.pages)
    })
  })
}

describe('the state of aos', function () {
  this.timeout(120_000)

  it('is that of a run that never saw the failures', async () => {
    // A trap leaves more behind than an Error does: the stack pointer, for one, which is not in the memory.
    const messages = mixedMessages(process_).flatMap((message, nonce) =>
      nonce % 20 === 10 ? [message, evalOf(process_, nonce, 'os.exit(1)')] : [message],
    )
    const all = await runOurs('aos2_0_4_32', messages)
    const good = messages.filter((_, i) => all.evaluations[i]?.error === undefined)
    const without = await runOurs('aos2_0_4_32', good)
    assert.ok(good.length < messages.length)
    assert.equal(all.root, without.root)
  })

  it('is that of a run without dry-runs', async () => {
    const messages = mixedMessages(process_, 80)
    const asked = await runOurs('aos2_0_4_32', messages, 2)
    assert.deepEqual(asked, await runOurs('aos2_0_4_32', messages))
  })
})

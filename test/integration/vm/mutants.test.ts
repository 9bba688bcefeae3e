import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { utf8 } from '../../../src/lib/bytes.ts'
import { AoError } from '../../../src/lib/errors.ts'
import { silentLogger, silentMetrics } from '../../../src/lib/telemetry.ts'
import { echoFormat, echoModule } from '../../../src/modules/echo/echo.ts'
import type { LiveProcess, ProcessSetup } from '../../../src/ports/vm.ts'
import type { Nonce } from '../../../src/protocol/ids.ts'
import { decodeResult, encodeResult, outboxRoot } from '../../../src/protocol/result.ts'
import { packageRoot } from '../../../src/testnet/aos-module.ts'
import { WorkerVmPool } from '../../../src/vm/pool.ts'
import { plainWat } from '../../support/determinism/plain-wat.ts'
import { emscriptenFormats, emscriptenWat } from '../../support/modules/emscripten.ts'
import { idOf, mebibytes, messageOf, setupOf, spawnOf } from '../../support/modules/process.ts'
import { compileWat } from '../../support/modules/wat.ts'
import { mutateBytes, mutateText } from '../../support/mutation.ts'
import { SeededRandom } from '../../support/random.ts'

/** 10,000 in `npm run test:slow`. */
const rounds = process.env['AONET_SLOW_TESTS'] === '1' ? 10_000 : 240
/** Beyond the rounds: what these make once ended a thread. */
const oldFinds = [1327]
const gas = 20_000_000n
const [mutant, neighbour] = [idOf('mutant'), idOf('neighbour')] as const

interface Kind {
  readonly format: string
  readonly memoryBytes: number
  /** A module that is wrong in a way that hangs on the seed. */
  make(random: SeededRandom): Uint8Array
  /** Of all that are made: were it less, the test would show little. */
  readonly leastOpened: number
}

const root = packageRoot(dirname(fileURLToPath(import.meta.url)))
const token = readFileSync(join(root, 'src/modules/examples/token/token.js'), 'utf8')

async function kinds(): Promise<readonly Kind[]> {
  const plain = [await compileWat(plainWat), echoModule()]
  const [, , , emscripten4] = emscriptenFormats
  assert.ok(emscripten4)
  const emscripten = await compileWat(emscriptenWat(emscripten4, { code: '(call $resize (i32.const 1000000))' }))
  return [
    {
      format: echoFormat,
      memoryBytes: mebibytes(4),
      leastOpened: 0.03,
      make: random => mutateBytes(random.pick(plain), random),
    },
    {
      format: emscripten4.format,
      memoryBytes: mebibytes(4),
      leastOpened: 0.1,
      make: random => mutateBytes(emscripten, random),
    },
    {
      format: 'js-quickjs-1',
      memoryBytes: mebibytes(24),
      leastOpened: 0.1,
      make: random => utf8(mutateText(token, random)),
    },
  ]
}

describe('damaged modules', function () {
  this.timeout(rounds * 300)
  const losses: string[] = []
  let pool: WorkerVmPool
  let healthy: LiveProcess
  let made: readonly Kind[]
  before(async () => {
    const counter = () => ({
      add: (_: number | undefined, labels?: Readonly<Record<string, string>>) => losses.push(labels?.['reason'] ?? ''),
    })
    const telemetry = { log: silentLogger, metrics: { ...silentMetrics, counter } }
    pool = new WorkerVmPool(telemetry, { workers: 1, maxLive: 8, maxQueued: 8, wallClockMs: 20_000 })
    await pool.start()
    healthy = await pool.open(setupOf(neighbour, { bytes: echoModule(), format: echoFormat }))
    await healthy.handle(spawnOf(neighbour))
    made = await kinds()
  })
  after(() => pool.stop())

  /** Opens it and sends it messages. Whether it opened. @throws whatever is neither a coded refusal nor a result. */
  const tryOut = async (setup: ProcessSetup, random: SeededRandom): Promise<boolean> => {
    let live: LiveProcess
    try {
      live = await pool.open(setup)
    } catch (error) {
      assert.ok(error instanceof AoError && error.code === 'UNSUPPORTED_MODULE', String(error))
      return false
    }
    try {
      for (const nonce of [0, 1, 2]) {
        const data = random.pick(['c', 'g', 'r', 'f', random.bytes(40).toString('latin1'), '{"a":'])
        const tags = { Action: random.pick(['Mint', 'Ping', 'Info', 'Transfer', '__proto__']), Quantity: '7' }
        const { evaluation, stateRoot, stateNonce } = await live.handle(messageOf(mutant, nonce, { data, tags }))
        assert.ok(evaluation.gasUsed <= gas)
        const result = { ...evaluation, process: mutant, nonce: nonce as Nonce, stateRoot, stateNonce }
        assert.deepEqual(decodeResult(encodeResult(result)), result)
        outboxRoot(evaluation.outbox)
      }
      return true
    } finally {
      await live.close()
    }
  }

  for (const [i, format] of [echoFormat, 'wasm32-unknown-emscripten4', 'js-quickjs-1'].entries()) {
    it(`give a refusal or results, and leave their neighbour alone, ${rounds} times in three formats: ${format}`, async () => {
      const kind = made[i]
      assert.equal(kind?.format, format)
      let opened = 0
      const before = await healthy.snapshot()
      const seeds = Array.from({ length: rounds / 3 }, (_, round) => round * 3 + i)
      for (const seed of [...seeds, ...oldFinds.filter(seed => seed % 3 === i)]) {
        const random = new SeededRandom(seed)
        const module = `mutant ${seed}`
        const { memoryBytes } = kind
        const setup = setupOf(mutant, { bytes: kind.make(random), format, memoryBytes, module })
        if (
          await tryOut({ ...setup, limits: { memoryBytes, gas } }, random).catch(error =>
            assert.fail(`seed ${seed}: ${error.stack}`),
          )
        )
          opened++
      }
      assert.ok(opened > (rounds / 3) * kind.leastOpened, `only ${opened} ever opened: the test would show little`)
      assert.ok(opened < rounds / 3, 'none was refused')
      assert.deepEqual(losses, [])
      assert.equal((await healthy.snapshot()).stateRoot, before.stateRoot)
    })
  }

  it('published as another format than theirs are refused', async () => {
    for (const { make } of made) {
      const bytes = make(new SeededRandom(7))
      const mine = made.find(each => each.make === make)?.format
      for (const { format } of made) {
        if (format === mine) continue
        const setup = setupOf(mutant, { bytes, format, module: `${mine} as ${format}`, memoryBytes: mebibytes(24) })
        await assert.rejects(pool.open(setup), { code: 'UNSUPPORTED_MODULE' })
      }
    }
    assert.deepEqual(losses, [])
  })
})

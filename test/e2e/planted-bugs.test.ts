import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { packageRoot } from '../../src/testnet/aos-module.ts'
import { CrashBench } from '../support/crash-bench.ts'
import { eventually } from '../support/eventually.ts'

const slow = process.env['AONET_SLOW_TESTS'] === '1'

/** A change of the compiled program: in a file below dist, one text for another that stands there once. */
type Change = readonly [file: string, from: string, to: string]

interface Bug {
  readonly name: string
  readonly changes: readonly Change[]
  /** Crashes and sends as the bug needs it to show. */
  readonly scene: (bench: CrashBench) => Promise<void>
  readonly caught: RegExp
}

const root = packageRoot(dirname(fileURLToPath(import.meta.url)))

const killAndRestart = async ({ net }: CrashBench, failpoint?: string): Promise<void> => {
  const node = net.node('all')
  await node.kill()
  if (failpoint === undefined) await node.start()
  else await node.startToCrash(failpoint)
}
const diesWhileSending = async (bench: CrashBench, failpoint: string): Promise<void> => {
  await killAndRestart(bench, failpoint)
  const node = bench.net.node('all')
  const sending = bench.send()
  await Promise.race([sending, eventually('the crash', () => node.isGone, 30_000)])
  await eventually('the crash', () => node.isGone, 30_000)
  await node.start()
  await sending
}

const bugs: readonly Bug[] = [
  {
    name: 'an answer before the disk has it',
    changes: [
      [
        'src/storage/level-assignment-log.js',
        'await this.#store.write(ops, { sync: !guarded });',
        'setTimeout(() => this.#store.write(ops, { sync: !guarded }), batch[0].assignment.nonce > 0 ? 700 : 0);',
      ],
    ],
    scene: async bench => {
      for (let i = 0; i < 3; i++) {
        await bench.send()
        await killAndRestart(bench)
      }
    },
    caught: /an acknowledged message is not where it was said to be/,
  },
  {
    name: 'a dedupe that a restart forgets',
    changes: [
      [
        'src/units/scheduler/plan.js',
        'const earlier = await deps.log.findMany(sought);',
        `const known = (globalThis.known ??= new Set());
         const earlier = (await deps.log.findMany(sought)).map((found, i) => (known.has(sought[i].message) ? found : undefined));
         for (const { message } of sought) known.add(message);`,
      ],
    ],
    scene: bench => diesWhileSending(bench, 'part-pushed:1'),
    caught: /two nonces|applied twice|parts of/,
  },
  {
    name: 'a crank written as done before it is pushed',
    changes: [
      [
        'src/units/messenger/crank.js',
        'const delivered = await delivery.run(options);',
        "await queue.write({ update: [{ ...begun, state: 'done' }] }); const delivered = await delivery.run(options);",
      ],
    ],
    scene: bench => diesWhileSending(bench, 'push-signed:1'),
    caught: /parts of/,
  },
]

/** Caught by the model check of the sign guard: a disk that refuses a batch is unusable until another start. */
const nonceReused: Change = ['src/units/scheduler/sequencer.js', 'await this.#promise(promises);', ';']

describe('planted bugs', function () {
  this.timeout(300_000)

  for (const bug of slow ? bugs : []) {
    it(`catches ${bug.name}`, () =>
      withCopy(bug.changes, home =>
        withNetwork(home, async bench => {
          await bug.scene(bench)
          await assert.rejects(bench.check(), (error: Error) => bug.caught.test(error.message))
        }),
      ))
  }

  if (slow) {
    it('catches a nonce given to another message after a batch failed', () =>
      withCopy([nonceReused], async home => {
        const { code, out } = await modelCheck(home)
        assert.notEqual(code, 0)
        assert.match(out, /two signatures were/)
      }))

    it('finds nothing wrong where there is none', () =>
      withCopy([], async home => {
        assert.equal((await modelCheck(home)).code, 0)
        await withNetwork(home, async bench => {
          for (const { scene } of bugs) await scene(bench)
          await bench.check()
        })
      }))
  }
})

/** A copy of this build with the changes. */
async function withCopy(changes: readonly Change[], use: (home: string) => Promise<void>): Promise<void> {
  const cache = join(root, '.cache') // below the package, so that its dependencies are found
  mkdirSync(cache, { recursive: true })
  const home = mkdtempSync(join(cache, 'planted-'))
  try {
    cpSync(join(root, 'package.json'), join(home, 'package.json'))
    cpSync(join(root, 'dist'), join(home, 'dist'), { recursive: true })
    for (const [file, from, to] of changes) plant(join(home, 'dist', file), from, to)
    await use(home)
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}

/** A network whose nodes run that copy. */
async function withNetwork(home: string, use: (bench: CrashBench) => Promise<void>): Promise<void> {
  const bench = new CrashBench(join(home, 'dist', 'src', 'cli', 'main.js'))
  try {
    await bench.start()
    await use(bench)
  } finally {
    await bench.stop()
  }
}

async function modelCheck(home: string): Promise<{ readonly code: number; readonly out: string }> {
  const mocha = join(root, 'node_modules', 'mocha', 'bin', 'mocha.js')
  const spec = join(home, 'dist', 'test', 'unit', 'units', 'sign-guard-model.test.js')
  const setup = join(home, 'dist', 'test', 'support', 'setup.js')
  const args = [mocha, '--no-package', '--no-config', '--exit', '--timeout', '200000', '--require', setup, spec]
  const env = { ...process.env, AONET_SLOW_TESTS: '0' }
  return new Promise(resolve => {
    execFile(process.execPath, args, { env, maxBuffer: 1 << 24 }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), out: stdout + stderr }),
    )
  })
}

function plant(file: string, from: string, to: string): void {
  const text = readFileSync(file, 'utf8')
  assert.equal(text.split(from).length, 2, `the place for the bug is not once in ${file}: ${from}`)
  writeFileSync(
    file,
    text.replace(from, () => to),
  )
}

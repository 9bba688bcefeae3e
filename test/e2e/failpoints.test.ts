import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CrashBench } from '../support/crash-bench.ts'
import { eventually } from '../support/eventually.ts'
import { SeededRandom, testSeed } from '../support/random.ts'

const slow = process.env['AONET_SLOW_TESTS'] === '1'
/** Which part of them, of how many: `2/4`. */
const [part = 1, parts = 1] = (process.env['AONET_FAILPOINTS_PART'] ?? '1/1').split('/').map(Number)
/** Without the slow tests: one for each of SU, MU and CU where most is at stake. */
const always = ['su-signed', 'part-pushed', 'cu-signed']

describe('a node killed at each place between reading and answering', function () {
  this.timeout(slow ? 1_800_000 : 120_000)
  const bench = new CrashBench()
  before(() => bench.start())
  after(() => bench.stop())

  it('loses nothing, repeats nothing, and goes on', async () => {
    const places = failpointsOf(fileURLToPath(new URL('../../src/', import.meta.url)))
    assert.ok(places.length >= 40, `there are ${places.length} failpoints`)
    const random = new SeededRandom(testSeed())
    const chosen = slow
      ? places.filter((_, i) => i % parts === part - 1)
      : places.filter(place => always.includes(place))
    for (const place of chosen) {
      const node = bench.net.node('all')
      await node.kill()
      await node.startToCrash(`${place}:${1 + random.below(rare.test(place) ? 1 : 3)}`)
      await crash(place)
    }
    await bench.check()
    assert.equal((await bench.client.trace(...lastSent())).problems.length, 0)
  })

  const lastSent = () => {
    const last = bench.acknowledged.at(-1)
    assert.ok(last)
    return [last.process, last.message] as const
  }

  /** Sends until it dies there. */
  async function crash(place: string): Promise<void> {
    const node = bench.net.node('all')
    const end = Date.now() + 60_000
    let sending: Promise<unknown> = Promise.resolve()
    while (!node.isGone) {
      assert.ok(Date.now() < end, `${place} was not crossed`)
      sending = Promise.all([bench.send(), bench.send()]).then(() => bench.evaluate())
      await Promise.race([sending, eventually(`${place} to be crossed`, () => node.isGone, 60_000)])
      if (place.startsWith('checkpoint-') && bench.acknowledged.length > 40) await node.end()
    }
    sending.catch(() => undefined) // acknowledged by the next program, or sent no more
  }
})

/** Crossed once by a start, or seldom. */
const rare =
  /^(su-started|su-recovered|mu-started|cu-opened|drain-read|checkpoint-.*|settler-.*|push-uploaded|spawn-.*)$/

function failpointsOf(folder: string): readonly string[] {
  const found = new Set<string>()
  for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.js')) continue
    const text = readFileSync(join(folder, file), 'utf8')
    for (const [, name] of text.matchAll(/failpoint\('([a-z-]+)'\)/g)) if (name !== undefined) found.add(name)
  }
  for (const name of found) if (name.startsWith('foreign-')) found.delete(name) // integration/foreign/crash
  return [...found].sort((a, b) => Number(a.startsWith('checkpoint')) - Number(b.startsWith('checkpoint')))
}

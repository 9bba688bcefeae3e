import assert from 'node:assert/strict'
import { readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { meterModule } from '../../../src/vm/meter/meter.ts'
import { gas1Prices, legacyPrices } from '../../../src/vm/meter/prices.ts'
import { MeteredFiles } from '../../../src/vm/metered-files.ts'
import { withTempDir } from '../../support/builders.ts'
import { compileWat } from '../../support/modules/wat.ts'

/** A module whose `answer` gives so much, with enough beside it to be worth a file. */
const moduleOf = (answer: number): Promise<Uint8Array> =>
  compileWat(`(module (memory (export "memory") 1) (global (mut i32) (i32.const 1))
    (data (i32.const 0) "${'ballast '.repeat(9_000)}")
    (func (export "answer") (result i32) (i32.const ${answer})))`)

const meter = (module: Uint8Array, prices: typeof gas1Prices | typeof legacyPrices = gas1Prices) =>
  meterModule(module, { prices, strict: true })
const never = (): never => assert.fail('it was metered again')

describe('metered modules on disk', () => {
  it('are equal to what metering gives, and are not metered again after a restart', () =>
    withTempDir(async dir => {
      const module = await moduleOf(1)
      const fresh = meter(module)
      assert.deepEqual(
        new MeteredFiles(dir).of(module, 'gas-1', () => fresh),
        fresh,
      )
      const kept = new MeteredFiles(dir).of(module, 'gas-1', never)
      assert.ok(Buffer.from(kept.bytes).equals(fresh.bytes))
      assert.deepEqual(
        JSON.parse(JSON.stringify({ ...kept, bytes: 0 })),
        JSON.parse(JSON.stringify({ ...fresh, bytes: 0 })),
      )
    }))

  it('are one file for each module and each way to meter it', () =>
    withTempDir(async dir => {
      const [one, two] = [await moduleOf(1), await moduleOf(2)]
      const files = new MeteredFiles(dir)
      files.of(one, 'gas-1', () => meter(one))
      const other = files.of(two, 'gas-1', () => meter(two))
      const legacy = files.of(one, 'ao', () => meter(one, legacyPrices))
      assert.equal(readdirSync(dir).length, 3)
      assert.ok(Buffer.from(files.of(two, 'gas-1', never).bytes).equals(other.bytes))
      assert.equal(files.of(one, 'ao', never).identity, legacy.identity)
    }))

  it('are made anew wherever a file is damaged or cut short', () =>
    withTempDir(async dir => {
      const module = await moduleOf(1)
      const fresh = meter(module)
      const files = new MeteredFiles(dir)
      files.of(module, 'gas-1', () => fresh)
      const [name] = readdirSync(dir)
      assert.ok(name)
      const good = readFileSync(join(dir, name))
      const flipped = (at: number): Buffer => {
        const bytes = Buffer.from(good)
        bytes.writeUInt8((good[at] ?? 0) ^ 1, at)
        return bytes
      }
      const cuts = [0, 31, 32, 40, good.length - 1].map(length => good.subarray(0, length))
      for (const bad of [...[0, 31, 32, 60, good.length >> 1, good.length - 1].map(flipped), ...cuts]) {
        writeFileSync(join(dir, name), bad)
        let metered = 0
        const again = files.of(module, 'gas-1', () => {
          metered++
          return fresh
        })
        assert.equal(metered, 1)
        assert.equal(again, fresh)
        assert.ok(readFileSync(join(dir, name)).equals(good))
      }
    }))

  it('take no more room than they may: the one used longest ago goes first', () =>
    withTempDir(async dir => {
      const modules = await Promise.all([1, 2, 3].map(moduleOf))
      const [first, second, third] = modules as [Uint8Array, Uint8Array, Uint8Array]
      const files = new MeteredFiles(dir, 2.5 * first.length)
      files.of(first, 'gas-1', () => meter(first))
      files.of(second, 'gas-1', () => meter(second))
      for (const name of readdirSync(dir)) utimesSync(join(dir, name), new Date(1_000), new Date(1_000))
      files.of(first, 'gas-1', never) // used now
      files.of(third, 'gas-1', () => meter(third))
      assert.equal(readdirSync(dir).length, 2)
      files.of(first, 'gas-1', never)
      files.of(third, 'gas-1', never)
    }))

  it('are done without where the directory cannot be written, and for small modules', () =>
    withTempDir(async dir => {
      const module = await moduleOf(1)
      writeFileSync(join(dir, 'taken'), 'a file where the directory should be')
      const fresh = meter(module)
      assert.equal(
        new MeteredFiles(join(dir, 'taken')).of(module, 'gas-1', () => fresh),
        fresh,
      )
      const small = await compileWat('(module (memory 1))')
      new MeteredFiles(join(dir, 'small')).of(small, 'gas-1', () => meter(small))
      assert.deepEqual(readdirSync(dir), ['taken'])
    }))
})

import assert from 'node:assert/strict'
import { type AbortOptions, raceSignal } from '../../../src/lib/abort.ts'
import { AoError } from '../../../src/lib/errors.ts'
import { silentMetrics } from '../../../src/lib/telemetry.ts'
import type { PeerDirectory } from '../../../src/ports/peers.ts'
import type { Address } from '../../../src/protocol/ids.ts'
import { type Candidate, firstAnswer } from '../../../src/units/routing/failover.ts'
import { Hedge } from '../../../src/units/routing/hedge.ts'

type Unit = (options: AbortOptions) => Promise<string>

describe('units/routing/hedge', () => {
  let hedge: Hedge
  let reports: string[]
  let asked: string[]
  const directory = {
    report: (address: string, outcome: string) => reports.push(`${address} ${outcome}`),
  } as unknown as PeerDirectory
  const ask = (...units: (readonly [name: string, unit: Unit, local?: boolean])[]): Promise<string> => {
    const candidates: Candidate<Unit>[] = units.map(([address, unit, local = false]) => ({
      ...{ address: address as Address, unit, local },
    }))
    const call = ({ address, unit }: Candidate<Unit>, options: AbortOptions): Promise<string> => {
      asked.push(address)
      return unit(options)
    }
    return firstAnswer(candidates, call, { role: 'CU', directory, hedge })
  }
  const quick: Unit = async () => 'quick'
  let gaveUp: unknown
  const stuck: Unit = ({ signal }) =>
    raceSignal(new Promise<never>(() => undefined), { signal }).catch((error: unknown) => {
      gaveUp = error
      throw error
    })
  const delayed =
    (ms: number, unit: Unit): Unit =>
    async options => {
      await new Promise(resolve => setTimeout(resolve, ms))
      return unit(options)
    }
  const fails =
    (code: 'PEER_UNREACHABLE' | 'UNKNOWN_MESSAGE'): Unit =>
    async () => {
      throw new AoError(code, 'no')
    }
  /** As after so many quick answers. */
  const learn = (count: number): void => {
    for (let i = 0; i < count; i++) hedge.answered(1)
  }

  beforeEach(() => {
    hedge = new Hedge(silentMetrics, { floorMs: 20 })
    reports = []
    asked = []
    gaveUp = undefined
  })

  it('asks a second unit beside one that stands still, takes its answer, and lets the first go without blame', async () => {
    learn(32)
    assert.equal(await ask(['slow', stuck], ['second', quick], ['third', quick]), 'quick')
    assert.deepEqual(asked, ['slow', 'second'])
    await new Promise(resolve => setImmediate(resolve)) // the first hears of it when the answer is out
    assert.equal(AoError.from(gaveUp).code, 'ABORTED')
    assert.deepEqual(reports, ['second ok'])
  })

  it('waits for longer than 95 of 100 answers took, and asks nobody twice before it knows what is usual', async () => {
    assert.equal(hedge.afterMs, undefined)
    assert.equal(await ask(['slow', delayed(60, quick)], ['second', quick]), 'quick')
    assert.deepEqual(asked, ['slow'])
    for (let i = 0; i < 127; i++) hedge.answered(i < 115 ? 10 : 300)
    assert.equal(hedge.afterMs, 300)
  })

  it('adds no more than a twentieth to what is asked', async () => {
    learn(32)
    for (let i = 0; i < 30; i++) await ask(['slow', delayed(30, quick)], ['second', stuck])
    const twice = asked.filter(name => name === 'second').length
    assert.ok(twice >= 5 && twice <= 7, `${twice} of 30 were asked twice`)
  })

  it('goes on waiting for the first if the second fails, whatever it says', async () => {
    learn(32)
    assert.equal(await ask(['slow', delayed(60, async () => 'late')], ['second', fails('UNKNOWN_MESSAGE')]), 'late')
    assert.equal(await ask(['slow', delayed(60, async () => 'late')], ['second', fails('PEER_UNREACHABLE')]), 'late')
  })

  it('asks the third when both have failed, and says why the first did when all have', async () => {
    learn(32)
    const late = delayed(40, fails('PEER_UNREACHABLE'))
    assert.equal(await ask(['slow', late], ['second', late], ['third', quick]), 'quick')
    assert.deepEqual(asked, ['slow', 'second', 'third'])
    await assert.rejects(ask(['slow', late], ['second', late]), { code: 'PEER_UNREACHABLE' })
  })

  it('ends with the refusal of the only one asked, and never asks another beside a unit of its own', async () => {
    learn(32)
    await assert.rejects(ask(['first', fails('UNKNOWN_MESSAGE')], ['second', quick]), { code: 'UNKNOWN_MESSAGE' })
    assert.equal(await ask(['own', delayed(60, async () => 'own'), true], ['second', quick]), 'own')
    assert.deepEqual(asked, ['first', 'own'])
  })
})

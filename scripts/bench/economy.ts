import { commitmentOf } from '../../src/economy/commits.ts'
import { emissionStart, mintCycles } from '../../src/economy/emission.ts'
import { type At, applyEvent, type EconomyEvent } from '../../src/economy/events.ts'
import { genesis } from '../../src/economy/genesis.ts'
import { deposit } from '../../src/economy/pools.ts'
import type { EconomyState } from '../../src/economy/state.ts'
import { mainEconomy } from '../../src/protocol/economy-params.ts'
import type { Address } from '../../src/protocol/ids.ts'
import type { BenchLine } from './main.ts'
import { ledgerRate } from './support/ledger-rate.ts'
import { aosLedger, originLedger } from './support/ledgers.ts'
import { median } from './support/measure.ts'

/** Limit of the issue: one mint cycle in less than 5 µs. */
const cycleLimitUs = 5
const sizes = [10, 1_000, 100_000, 1_000_000] as const
const operator = 'o'.repeat(43) as Address

/** The pure economy: what a cycle costs, and that the number of holders changes nothing about settling and slashing. */
export default async function* economy(): AsyncIterable<BenchLine> {
  const fourYears = time(() => void mintCycles(emissionStart, 'halving-4y', 420_768))
  const cycleUs = (fourYears * 1000) / 420_768
  yield { case: 'mint cycle', us: round(cycleUs), ratioToLimit: round(cycleLimitUs / cycleUs) }
  yield { case: 'catch-up of 4 years in one run', ms: round(fourYears), cycles: 420_768 }
  const states = sizes.map(withHolders)
  yield* curve('claim', states, claimUs)
  yield* curve('transfer', states, transferUs)
  yield* curve('slash', states, slashUs)
  yield* curve('claim of the same holders', states, hotClaimUs)
  yield* transferRates()
}

/** The same transfers through an SU and a CU, in turns: AO-Sec Origin in QuickJS, and a ledger of aos handlers in Lua. */
async function* transferRates(): AsyncIterable<BenchLine> {
  const [ours, lua] = [await originLedger(transfers), await aosLedger(transfers)]
  const rates: { ours: number[]; lua: number[] } = { ours: [], lua: [] }
  for (let turn = 0; turn < 3; turn++) {
    rates.ours.push(await ledgerRate(ours))
    rates.lua.push(await ledgerRate(lua))
  }
  const [perSecond, luaPerSecond] = [median(rates.ours), median(rates.lua)]
  yield {
    case: `token transfers through SU and CU, ${transfers}`,
    ...{ perSecond: Math.round(perSecond), luaPerSecond: Math.round(luaPerSecond) },
    ratioToRaw: round(perSecond / luaPerSecond),
  }
}
const transfers = 1_000

/** Cost by number of holders, in turns. `ratioToRaw`: that of 10 holders over this; 1 is flat. */
function* curve(
  name: string,
  states: readonly EconomyState[],
  measure: (state: EconomyState, round: number) => number,
) {
  const rounds = states.map((): number[] => [])
  for (let i = 0; i < 9; i++) for (const [s, state] of states.entries()) rounds[s]?.push(measure(state, i))
  const [fewest = Number.NaN] = rounds.map(median)
  for (const [s, holders] of sizes.entries()) {
    const us = median(rounds[s] ?? [])
    yield { case: `${name}, ${holders} holders`, us: round(us), ratioToRaw: round(fewest / us) }
  }
}

let clock: At = { height: 1_000_000, timestamp: mainEconomy.emission.genesisMs + 300_000 * 1000 }
const run = (state: EconomyState, event: EconomyEvent): void => void applyEvent(state, clock, event)

/** A pool and a class of that many holders, each with a balance. */
function withHolders(count: number): EconomyState {
  const state = genesis(mainEconomy)
  for (let i = 0; i < count; i++) {
    const holder = `h${i}`
    state.holders.set(`AR ${holder}`, { quantity: 1000n, own: 1000n, received: 0n, last: 0n, frac: 0n })
    state.balances.set(holder, 10n ** 15n)
    deposit(state, { role: 'SU', operator, holder, tokens: 10n ** 15n })
  }
  state.classes.set('ar', { acc: 0n, rem: 0n, total: BigInt(count) * 1000n, undistributed: 0n, minted: 0n })
  state.balances.set('reporter', 10n ** 18n)
  run(state, { type: 'mint' })
  return state
}

/** 500 claims, each of a holder who has earned since its last. */
function claimUs(state: EconomyState, at: number): number {
  let ms = 0
  const batch = Math.min(500, state.holders.size)
  for (let done = 0; done < 500; done += batch) {
    clock = { ...clock, timestamp: clock.timestamp + 300_000 }
    run(state, { type: 'mint' })
    const events = Array.from(
      { length: batch },
      (_, i) => ({ type: 'claim', account: holderAt(state, done + i, at) }) as const,
    )
    ms += time(() => runAll(state, events))
  }
  return (ms * 1000) / 500
}

/** As `claimUs`, of ten holders again and again: what is left is the work, without the way to rows that no cache has. */
function hotClaimUs(state: EconomyState): number {
  let ms = 0
  for (let done = 0; done < 500; done += 10) {
    clock = { ...clock, timestamp: clock.timestamp + 300_000 }
    run(state, { type: 'mint' })
    const events = Array.from({ length: 10 }, (_, i) => ({ type: 'claim', account: `h${i}` }) as const)
    ms += time(() => runAll(state, events))
  }
  return (ms * 1000) / 500
}

function transferUs(state: EconomyState, at: number): number {
  const events = Array.from({ length: 500 }, (_, i) => {
    const [from, to] = [holderAt(state, i, at), holderAt(state, i + 1, at)]
    return { type: 'transfer', from, to, quantity: 1n } as const
  })
  return (time(() => runAll(state, events)) * 1000) / 500
}

const holderAt = (state: EconomyState, i: number, at: number): string => `h${(i * 7919 + at) % state.holders.size}`

function runAll(state: EconomyState, events: readonly EconomyEvent[]): void {
  for (const event of events) run(state, event)
}

/** Conviction and execution of one fault (F9: of 10 % each time, so that there is a next one). */
function slashUs(state: EconomyState, at: number): number {
  const [digest, salt, reporter] = [`evidence ${at}`, 'salt', 'reporter']
  run(state, { type: 'commit', reporter, commitment: commitmentOf(digest, salt, reporter) })
  clock = { ...clock, height: clock.height + mainEconomy.commitMinBlocks }
  const verdict = { guilty: true, kind: 'F9', role: 'SU', operator, process: undefined, epoch: 0 } as const
  const convicting = time(() => run(state, { type: 'evidence', reporter, digest, salt, verdict }))
  clock = { ...clock, height: clock.height + mainEconomy.correlationBlocks + 1 } // the next one is another offence
  return (convicting + time(() => run(state, { type: 'tick' }))) * 1000
}

function time(work: () => void): number {
  const start = performance.now()
  work()
  return performance.now() - start
}

const round = (value: number): number => Number(value.toFixed(3))

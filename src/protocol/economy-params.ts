import { AoError } from '../lib/errors.ts'
import type { UnitRole } from './unit-record.ts'

/** How new tokens come: economy.md 1.1 and 1.2. Amounts everywhere here are decimal armstrongs. */
export interface EmissionParams {
  readonly profile: 'halving-4y' | 'ao-1425'
  /** Milliseconds since the Unix epoch at which cycle 0 begins. */
  readonly genesisMs: number
  readonly cycleMs: number
  /** Cycles that one message advances at the most: what keeps its gas bounded. */
  readonly maxCyclesPerMint: number
  /** From that cycle on, the AR class gets `ar` parts of `of`, bridged assets the rest. In order of `fromCycle`. */
  readonly phases: readonly { readonly fromCycle: number; readonly ar: number; readonly of: number }[]
}

export interface OracleParams {
  /** Who may report; a report counts with more than two thirds of them. */
  readonly reporters: readonly string[]
  /** A report that changes a resource's total by more than this many basis points waits `changeDelayCycles`. */
  readonly changeLimitBps: number
  readonly changeDelayCycles: number
  /** Heights below the newest for which reported block hashes are kept. */
  readonly headerBlocks: number
}

/** What is held when the economy begins, before the first report. Weight 1 and class `ar` for AR itself. */
export interface GenesisHolding {
  readonly resource: string
  readonly class: 'ar' | 'bridge'
  readonly weight: string
  readonly holder: string
  readonly quantity: string
}

/** Rules of stakes, faults and the token: economy.md 2.2. Durations are blocks of Arweave unless a name says more. */
export interface EconomyParams {
  readonly emission: EmissionParams
  readonly oracle: OracleParams
  readonly holdings: readonly GenesisHolding[]
  /** Blocks of one period (`epoch` in economy.md 2.1). */
  readonly periodBlocks: number
  readonly minStake: Readonly<Record<UnitRole, string>>
  readonly maxDelegationFactor: number
  readonly activationPeriods: number
  readonly unbondingBlocks: number
  /** Stake that begins to leave within the same bucket shares its fate. */
  readonly bucketBlocks: number
  readonly evidenceAgeBlocks: number
  readonly slashDelayBlocks: number
  readonly correlationBlocks: number
  readonly correlationMultiplier: number
  /** Of one holder, for one operator and role. */
  readonly maxUnbondings: number
  /** First term, which doubles up to `maxJailBlocks` until `jailResetBlocks` without a fault. */
  readonly jailBlocks: number
  readonly maxJailBlocks: number
  readonly jailResetBlocks: number
  readonly maxCommissionBps: number
  readonly commissionStepBps: number
  readonly commissionStepBlocks: number
  readonly reporterBps: number
  readonly reporterCap: string
  readonly victimBps: number
  readonly objectiveBond: string
  readonly timeoutBond: string
  readonly bidBond: string
  readonly schedulingFee: string
  readonly commitMinBlocks: number
  readonly commitMaxBlocks: number
  readonly publicationBlocks: number
  readonly responseBlocks: number
  /** Blocks after which a message must be ordered whose delivery an MU promises. */
  readonly deliveryBlocks: number
  readonly biddingBlocks: number
  readonly maxOpenChallenges: number
  /** Whether units without a stake may be used. Testnets may. */
  readonly allowUnstaked: boolean
  /** Confirmations after which AO-Sec Origin's own log counts. */
  readonly settlementDepth: number
  /** Blocks that an item addressed to AO-Sec Origin may wait for its SU before the next one takes over. */
  readonly takeoverBlocks: number
}

const ao = (amount: number): string => `${amount}000000000000`

export const mainEconomy: EconomyParams = {
  emission: {
    profile: 'halving-4y',
    genesisMs: 1_709_053_200_000, // 2024-02-27T17:00Z
    cycleMs: 300_000,
    maxCyclesPerMint: 10_000,
    phases: [
      { fromCycle: 1, ar: 1, of: 1 },
      { fromCycle: 32_233, ar: 1, of: 3 },
    ],
  },
  oracle: { reporters: [], changeLimitBps: 2000, changeDelayCycles: 12, headerBlocks: 20_000 },
  holdings: [],
  periodBlocks: 30,
  minStake: { SU: ao(1000), CU: ao(250), MU: ao(100) },
  maxDelegationFactor: 9,
  activationPeriods: 2,
  unbondingBlocks: 15_120, // 21 days of 720 blocks
  bucketBlocks: 720,
  evidenceAgeBlocks: 14_400,
  slashDelayBlocks: 720,
  correlationBlocks: 12_960,
  correlationMultiplier: 3,
  maxUnbondings: 7,
  jailBlocks: 30,
  maxJailBlocks: 720,
  jailResetBlocks: 21_600,
  maxCommissionBps: 2000,
  commissionStepBps: 100,
  commissionStepBlocks: 720,
  reporterBps: 500,
  reporterCap: ao(100),
  victimBps: 4500,
  objectiveBond: ao(5),
  timeoutBond: ao(2),
  bidBond: ao(10),
  schedulingFee: '100000000000',
  commitMinBlocks: 10,
  commitMaxBlocks: 60,
  publicationBlocks: 50,
  responseBlocks: 20,
  deliveryBlocks: 30,
  biddingBlocks: 15,
  maxOpenChallenges: 3,
  allowUnstaked: false,
  settlementDepth: 10,
  takeoverBlocks: 60,
}

/** The same rules on a clock of seconds: blocks come fast, and what takes days plays in two minutes. */
export const testnetEconomy: EconomyParams = {
  ...mainEconomy,
  // Cycles stay at five minutes: the years since the genesis are what the faucet gives away.
  emission: { ...mainEconomy.emission, maxCyclesPerMint: 50_000 },
  // A handful of wallets changes by more than a fifth all the time, and an hour is long here.
  oracle: { ...mainEconomy.oracle, changeDelayCycles: 0 },
  periodBlocks: 2,
  unbondingBlocks: 90,
  bucketBlocks: 5,
  evidenceAgeBlocks: 75,
  slashDelayBlocks: 4,
  correlationBlocks: 80,
  jailBlocks: 5,
  maxJailBlocks: 20,
  jailResetBlocks: 200,
  commissionStepBlocks: 5,
  commitMinBlocks: 1,
  commitMaxBlocks: 30,
  publicationBlocks: 15,
  responseBlocks: 8,
  deliveryBlocks: 10,
  biddingBlocks: 5,
  allowUnstaked: true,
  settlementDepth: 2,
  takeoverBlocks: 20,
}

const positive = [
  'periodBlocks',
  'unbondingBlocks',
  'bucketBlocks',
  'evidenceAgeBlocks',
  'correlationBlocks',
  'jailBlocks',
  'responseBlocks',
  'deliveryBlocks',
  'biddingBlocks',
  'publicationBlocks',
  'maxUnbondings',
  'maxOpenChallenges',
  'settlementDepth',
  'takeoverBlocks',
] as const satisfies readonly (keyof EconomyParams)[]

/**
 * Refuses rules under which a fault could go unpunished or an amount get lost.
 *
 * @throws AoError `INVALID_CONFIG` naming the rule that is broken.
 */
export function checkEconomyParams(params: EconomyParams): EconomyParams {
  const must = (holds: boolean, rule: string): void => {
    if (!holds) throw new AoError('INVALID_CONFIG', `the economy's parameters do not fit together: ${rule}`)
  }
  must(
    params.evidenceAgeBlocks < params.unbondingBlocks,
    'evidenceAgeBlocks < unbondingBlocks, or stake leaves before it can be slashed',
  )
  must(
    params.deliveryBlocks + params.responseBlocks < params.evidenceAgeBlocks,
    'deliveryBlocks + responseBlocks < evidenceAgeBlocks, or a broken promise is forgotten before anybody may ask',
  )
  for (const name of positive) must(Number.isSafeInteger(params[name]) && params[name] > 0, `${name} > 0`)
  must(params.oracle.headerBlocks > 0, 'oracle.headerBlocks > 0')
  must(params.reporterBps + params.victimBps <= 10_000, 'reporterBps + victimBps <= 10000')
  must(params.maxCommissionBps <= 10_000, 'maxCommissionBps <= 10000')
  must(params.commitMinBlocks < params.commitMaxBlocks, 'commitMinBlocks < commitMaxBlocks')
  must(
    params.unbondingBlocks <= 100 * params.bucketBlocks,
    'unbondingBlocks <= 100 * bucketBlocks, or a slash touches too many buckets',
  )
  const { phases, cycleMs, maxCyclesPerMint } = params.emission
  must(phases[0]?.fromCycle === 1, 'the first phase begins at cycle 1')
  must(
    phases.every(({ ar, of }) => 0 <= ar && ar <= of && of > 0),
    '0 <= ar <= of in each phase',
  )
  must(
    phases.every(({ fromCycle }, i) => i === 0 || fromCycle > (phases[i - 1]?.fromCycle ?? 0)),
    'phases in order',
  )
  must(cycleMs > 0 && maxCyclesPerMint > 0, 'cycleMs > 0 and maxCyclesPerMint > 0')
  return params
}

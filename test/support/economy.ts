import fc from 'fast-check'
import { commitmentOf } from '../../src/economy/commits.ts'
import { cycleAt } from '../../src/economy/emission.ts'
import { type At, applyEvent, type EconomyEvent, type Happening } from '../../src/economy/events.ts'
import { genesis } from '../../src/economy/genesis.ts'
import type { EconomyState } from '../../src/economy/state.ts'
import { sha256, toBase64Url, utf8 } from '../../src/lib/bytes.ts'
import { AoError } from '../../src/lib/errors.ts'
import { type EconomyParams, mainEconomy } from '../../src/protocol/economy-params.ts'
import { nextLink } from '../../src/protocol/hash-chain.ts'
import type { Address, AssignmentId, MessageId, ProcessId } from '../../src/protocol/ids.ts'

export const named = <T extends string = string>(text: string): T => toBase64Url(sha256(utf8(text))) as T
export const people = ['alice', 'bob', 'carol', 'dave']
export const operators = ['op1', 'op2', 'op3'].map(name => named<Address>(name))
export const processes = ['p1', 'p2'].map(name => named<ProcessId>(name))
export const reporters = ['oracle1', 'oracle2', 'oracle3']
/** The SU that the items of all test Processes name. */
export const firstScheduler = operators[0] as Address

/** Small amounts and short times, so that random events meet all limits. */
export const testEconomy: EconomyParams = {
  ...mainEconomy,
  emission: { ...mainEconomy.emission, genesisMs: 0, cycleMs: 1000, maxCyclesPerMint: 500 },
  oracle: { reporters, changeLimitBps: 2000, changeDelayCycles: 12, headerBlocks: 100 },
  holdings: [
    { resource: 'AR', class: 'ar', weight: '1', holder: 'alice', quantity: '3' },
    { resource: 'AR', class: 'ar', weight: '1', holder: 'bob', quantity: '4' },
    { resource: 'ETH', class: 'bridge', weight: '7', holder: 'carol', quantity: '5' },
  ],
  periodBlocks: 3,
  minStake: { SU: '1000', CU: '500', MU: '100' },
  unbondingBlocks: 60,
  bucketBlocks: 5,
  evidenceAgeBlocks: 50,
  slashDelayBlocks: 4,
  correlationBlocks: 40,
  jailBlocks: 3,
  maxJailBlocks: 24,
  jailResetBlocks: 60,
  reporterCap: '100',
  objectiveBond: '50',
  timeoutBond: '20',
  bidBond: '100',
  schedulingFee: '7',
  commitMinBlocks: 1,
  commitMaxBlocks: 6,
  publicationBlocks: 6,
  responseBlocks: 4,
  deliveryBlocks: 3,
  biddingBlocks: 3,
}

/** One thing that somebody tries, some blocks after the one before. */
export interface Step {
  readonly blocks: number
  readonly act: Act
}
export type Act =
  | EconomyEvent
  | { readonly type: 'accuse'; readonly kind: 'F1' | 'F5' | 'F9' | 'none'; readonly who: number; readonly item: number }
  | { readonly type: 'answer'; readonly which: number; readonly passesOn: boolean }
  | {
      readonly type: 'tell'
      readonly resource: string
      readonly account: string
      readonly own: bigint
      readonly words: number
    }
  | { readonly type: 'offer'; readonly bidder: number; readonly process: number; readonly nonce: number }

/** Plays steps, as honest and other people would send them, and tells what came of each. */
export class Economy {
  readonly state: EconomyState
  at: At = { height: 1, timestamp: 1 }
  /** Every event that was applied, with its place: a log to replay. */
  readonly applied: { readonly at: At; readonly event: EconomyEvent }[] = []
  readonly #afterEach: (economy: Economy) => void

  constructor(params: EconomyParams = testEconomy, afterEach: (economy: Economy) => void = () => {}) {
    this.state = genesis(params)
    this.#afterEach = afterEach
  }

  advance(blocks: number): void {
    this.at = { height: this.at.height + blocks, timestamp: this.at.timestamp + blocks * 1500 }
  }

  apply(event: EconomyEvent): readonly Happening[] {
    const happened = applyEvent(this.state, this.at, event)
    this.applied.push({ at: this.at, event })
    this.#afterEach(this)
    return happened
  }

  /** @returns the code of the refusal, or undefined. Anything but an AoError is a bug and thrown. */
  play({ blocks, act }: Step): string | undefined {
    this.advance(blocks)
    try {
      this.#act(act)
      return undefined
    } catch (error) {
      if (error instanceof AoError) return error.code
      throw error
    }
  }

  #act(act: Act): void {
    switch (act.type) {
      case 'accuse':
        this.#accuse(act)
        return
      case 'answer': {
        const open = this.state.challenges.keysInOrder()
        const id = open[act.which % Math.max(1, open.length)]
        this.apply(answerOf(id ?? 'none', act.passesOn))
        return
      }
      case 'offer':
        this.#offer(act)
        return
      case 'tell':
        this.#tell(act)
        return
      case 'challenge':
        // No two messages have one id.
        this.apply({ ...act, id: `${act.id} ${this.applied.length}` })
        return
      default:
        this.apply(act)
    }
  }

  #accuse({ kind, who, item }: Extract<Act, { type: 'accuse' }>): void {
    const operator = operators[who % operators.length] as Address
    const digest = named(`evidence ${kind} ${who} ${item}`)
    const [reporter, salt] = ['dave', 'salt']
    const process = processes[item % 2] as ProcessId
    this.apply({ type: 'commit', reporter, commitment: commitmentOf(digest, salt, reporter) })
    this.advance(this.state.params.commitMinBlocks)
    const guilt = { guilty: true, operator, process, epoch: this.state.hosts.get(process)?.epoch ?? 0 } as const
    const role = kind === 'F5' ? 'CU' : 'SU'
    const verdict =
      kind === 'none' ? ({ guilty: false, accused: operator } as const) : { ...guilt, kind, role: role as 'CU' | 'SU' }
    this.apply({ type: 'evidence', reporter, digest, salt, verdict })
  }

  /** Some of the reporters say of one account what it holds, and of one block its hash. */
  #tell({ resource, account, own, words }: Extract<Act, { type: 'tell' }>): void {
    const total = (this.state.resources.get(resource)?.quantity ?? 0n) + own - this.#owned(resource, account)
    const cycle = cycleAt(this.state.params.emission, this.at.timestamp)
    const { height } = this.state.clock.value
    for (const reporter of reporters.slice(0, words)) {
      this.apply({ type: 'report', reporter, report: { resource, cycle, total, deltas: [{ account, quantity: own }] } })
      this.apply({ type: 'header', reporter, height, hash: named(`block ${height}`) })
    }
  }

  #owned(resource: string, account: string): bigint {
    return this.state.holders.get(`${resource} ${account}`)?.own ?? 0n
  }

  #offer({ bidder, process: index, nonce }: Extract<Act, { type: 'offer' }>): void {
    const process = processes[index % 2] as ProcessId
    const row = this.state.hosts.get(process)
    const scheduler = row?.scheduler ?? firstScheduler
    const chain = chainOf(process, scheduler, row?.epoch ?? 0, nonce)
    const proof = { firstScheduler: scheduler, fallbacks: [], between: [], chain }
    this.apply({ type: 'bid', process, bidder: operators[bidder % 3] as Address, account: 'bob', proof })
  }
}

/** What was asked for, or, of a promise, the message itself: whoever hosts its target is asked then. */
export const answerOf = (id: string, passesOn: boolean): EconomyEvent =>
  passesOn ? { type: 'pass-on', id, to: `${id} passed on`, firstScheduler } : { type: 'respond', id }

/** Assignments up to `nonce`, the last two of them. */
export function chainOf(process: ProcessId, scheduler: Address, epoch: number, nonce: number) {
  const head = { nonce, assignment: named<AssignmentId>(`${process} ${epoch} ${nonce}`), hashChain: named(`${nonce}`) }
  const next = named<AssignmentId>(`${process} ${epoch} ${nonce + 1}`)
  const hashChain = nextLink({ id: head.assignment, hashChain: head.hashChain })
  return [
    { ...head, scheduler, epoch },
    { nonce: nonce + 1, assignment: next, hashChain, scheduler, epoch },
  ]
}

const person = fc.constantFrom(...people)
const operator = fc.constantFrom(...operators)
const process = fc.constantFrom(...processes)
const role = fc.constantFrom('SU' as const, 'CU' as const, 'MU' as const)
const small = fc.bigInt({ min: 1n, max: 6000n })
const amount = fc.oneof({ weight: 4, arbitrary: small }, fc.bigInt({ min: 1n, max: 10n ** 16n }))
const type = <T extends string>(name: T): fc.Arbitrary<T> => fc.constant(name)

const tokenAct: fc.Arbitrary<Act> = fc.oneof(
  fc.record({ type: type('mint') }),
  fc.record({ type: type('claim'), account: person }),
  fc.record({ type: type('transfer'), from: person, to: person, quantity: amount }),
  fc.record({ type: type('burn'), account: person, quantity: small }),
  fc.record({
    type: type('grant'),
    resource: fc.constantFrom('AR', 'ETH'),
    from: person,
    to: person,
    quantity: fc.bigInt({ min: 1n, max: 4n }),
  }),
  fc.record({
    type: type('revoke'),
    resource: fc.constantFrom('AR', 'ETH'),
    from: person,
    to: person,
    quantity: fc.bigInt({ min: 1n, max: 4n }),
  }),
)
const tellAct: fc.Arbitrary<Act> = fc.record({
  type: type('tell'),
  resource: fc.constantFrom('AR', 'ETH'),
  account: person,
  own: fc.oneof(fc.bigInt({ min: 0n, max: 9n }), fc.bigInt({ min: 0n, max: 10n ** 20n })),
  words: fc.nat(3),
})
const stakeAct: fc.Arbitrary<Act> = fc.oneof(
  fc.record({ type: type('stake'), role, operator, holder: person, tokens: amount }),
  fc.record({ type: type('stake'), role, operator, holder: person, tokens: amount }),
  fc.record({
    type: type('register'),
    role,
    operator,
    owner: person,
    peer: type('peer'),
    urls: type('url'),
    commissionBps: fc.integer({ min: 0, max: 2100 }),
  }),
  fc.record({
    type: type('unstake'),
    role,
    operator,
    holder: person,
    shares: fc.bigInt({ min: 1n, max: 6_000_000_000n }),
  }),
  fc.record({ type: type('withdraw'), account: person }),
  fc.record({ type: type('unjail'), role, operator, sender: person }),
)
export const faultAct: fc.Arbitrary<Act> = fc.oneof(
  fc.record({
    type: type('accuse'),
    kind: fc.constantFrom('F1' as const, 'F5' as const, 'F9' as const, 'none' as const),
    who: fc.nat(2),
    item: fc.nat(3),
  }),
  fc.record({ type: type('answer'), which: fc.nat(5), passesOn: fc.boolean() }),
  fc.record({ type: type('offer'), bidder: fc.nat(2), process: fc.nat(1), nonce: fc.nat(5) }),
)
const challengeAct: fc.Arbitrary<Act> = fc.record({
  type: type('challenge'),
  id: fc.uuid(),
  request: fc
    .record({
      kind: fc.constantFrom('F2' as const, 'F3' as const, 'F8' as const),
      challenger: person,
      accused: operator,
      process,
      epoch: fc.constant(0),
      message: fc.constant(named<MessageId>('m')),
    })
    .map(request => ({
      ...request,
      ...{ firstScheduler: request.accused, signer: request.accused, nonce: 7, assignment: named<AssignmentId>('a') },
    })),
})

export const anyStep = (faults: boolean): fc.Arbitrary<Step> =>
  fc.record({
    blocks: fc.oneof({ weight: 6, arbitrary: fc.nat(3) }, fc.nat(70)),
    act: fc.oneof(tokenAct, tellAct, { weight: 2, arbitrary: stakeAct }, ...(faults ? [faultAct, challengeAct] : [])),
  })

/** So that random steps find people with tokens, and units with stake. */
export const opening: readonly Step[] = [
  { blocks: 10, act: { type: 'mint' } },
  ...operators.flatMap((unit): Step[] => [
    { blocks: 0, act: { type: 'stake', role: 'SU', operator: unit, holder: 'alice', tokens: 3000n } },
    {
      blocks: 0,
      act: { type: 'register', role: 'SU', operator: unit, owner: 'alice', peer: 'p', urls: '', commissionBps: 500 },
    },
    { blocks: 0, act: { type: 'stake', role: 'CU', operator: unit, holder: 'bob', tokens: 2000n } },
  ]),
  { blocks: 0, act: { type: 'transfer', from: 'alice', to: 'dave', quantity: 100_000n } },
]

/** Runs and their length: small in `npm test`, as many as the issue asks for in the slow suite. */
export const propertyRuns = (fast: number, slow = 10_000): { numRuns: number } => ({
  numRuns: globalThis.process.env['AONET_SLOW_TESTS'] === '1' ? slow : fast,
})

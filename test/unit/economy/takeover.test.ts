import assert from 'node:assert/strict'
import { balanceOf } from '../../../src/economy/ledger.ts'
import type { Address, ProcessId } from '../../../src/protocol/ids.ts'
import { anId } from '../../support/builders.ts'
import { chainOf, Economy, opening, operators, testEconomy } from '../../support/economy.ts'

const [cheat, heir, third] = operators as [Address, Address, Address]
const process = anId<ProcessId>('a process that is taken over')
const { bidBond, biddingBlocks, publicationBlocks, responseBlocks, activationPeriods, periodBlocks } = testEconomy

describe('economy: taking a Process over', () => {
  let economy: Economy
  const row = () => economy.state.hosts.get(process) ?? assert.fail('no row')
  const verdicts = (): number => [...economy.state.verdicts.entries()].length
  const bid = (bidder: Address, chain: ReturnType<typeof chainOf>): void => {
    const proof = { firstScheduler: cheat, fallbacks: [], between: [], chain }
    economy.apply({ type: 'bid', process, bidder, account: 'bob', proof })
  }
  const pass = (blocks: number): void => {
    economy.advance(blocks)
    economy.apply({ type: 'tick' })
  }

  beforeEach(() => {
    economy = new Economy()
    for (const step of opening) economy.play(step)
    pass((activationPeriods + 1) * periodBlocks)
    economy.play({ blocks: 0, act: { type: 'accuse', kind: 'F1', who: 0, item: 0 } })
    bid(heir, chainOf(process, cheat, 0, 3))
    pass(biddingBlocks)
  })

  it('gives it to the bidder, from the end that was shown', () => {
    assert.deepEqual([row().phase, row().scheduler, row().epoch], ['hosted', heir, 1])
    assert.equal(row().past.at(-1)?.last?.nonce, 4)
  })

  it('gives the bond back to a winner that has the log in time', () => {
    const before = balanceOf(economy.state, 'bob')
    economy.apply({ type: 'host-ready', process, scheduler: heir })
    pass(2 * publicationBlocks + responseBlocks)
    assert.equal(balanceOf(economy.state, 'bob') - before, BigInt(bidBond))
    assert.equal(row().phase, 'hosted')
  })

  it('goes on to the next where the winner does not have the log, with its bond and without a slash', () => {
    const found = verdicts()
    pass(2 * publicationBlocks + responseBlocks)
    assert.equal(row().phase, 'bidding')
    assert.equal(row().bounty, BigInt(bidBond))
    assert.equal(verdicts(), found, 'it is no fault')
    // It has ordered nothing, so the log still ends where the one before it ended.
    bid(third, chainOf(process, cheat, 0, 3))
    assert.throws(() => bid(heir, chainOf(process, cheat, 0, 4)), /not of the old SU/, 'nor beyond')
    pass(biddingBlocks)
    assert.deepEqual([row().scheduler, row().epoch], [third, 2])
  })

  it('costs a winner that is asked for what it took over, and does not have it, the Process and no stake', () => {
    economy.apply({ type: 'host-ready', process, scheduler: heir })
    const [asked] = chainOf(process, cheat, 0, 3)
    if (asked === undefined) assert.fail()
    const { nonce, assignment, scheduler: signer } = asked
    const about = { accused: heir, signer, process, epoch: 0, nonce, assignment, message: anId('message') as never }
    const challenger = 'bob'
    economy.apply({ type: 'challenge', id: 'c', request: { kind: 'F2', challenger, ...about } })
    assert.throws(
      () =>
        economy.apply({
          type: 'challenge',
          id: 'd',
          request: { kind: 'F2', challenger, ...about, nonce: 77 },
        }),
      /not of the log/,
      'what it never had to take over',
    )
    const found = verdicts()
    pass(responseBlocks)
    assert.equal(row().phase, 'bidding')
    assert.equal(verdicts(), found)
  })
})

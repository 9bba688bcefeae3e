import assert from 'node:assert/strict'
import { epochsOf, judgePlace } from '../../../src/economy/host-epochs.ts'
import type { HostRow, LogHead } from '../../../src/economy/rows.ts'
import type { Address } from '../../../src/protocol/ids.ts'
import { anId, testSigner } from '../../support/builders.ts'

const [su, heir, third] = ['su', 'su2', 'su3'].map(name => testSigner(name).address) as [Address, Address, Address]
const headAt = (nonce: number): LogHead => ({ nonce, assignment: anId(`head ${nonce}`), hashChain: anId('chain') })
const row: HostRow = {
  ...{ epoch: 1, scheduler: heir, phase: 'hosted', since: 9, head: headAt(4), fork: undefined, bids: [] },
  ...{ fallbacks: [], queue: [], winnerBond: undefined, bounty: 0n, ready: true },
  past: [{ epoch: 0, scheduler: su, from: 0, to: 9, last: headAt(4) }],
}
const at = (scheduler: Address, epoch: number, nonce: number, id: string = anId(`any ${nonce}`)) => ({
  ...{ scheduler, epoch, nonce, id },
})

describe('economy: which Assignments stand in a log', () => {
  it('goes by the Scheduler tag where the table has nothing', () => {
    const epochs = epochsOf(undefined, su)
    assert.equal(judgePlace(epochs, at(su, 0, 1_000)), 'stands')
    assert.equal(judgePlace(epochs, at(heir, 0, 1)), 'void')
    assert.equal(judgePlace(epochs, at(heir, 1, 1)), 'unknown')
  })

  it('gives each host its turn: up to its last Assignment and no other there, and from the one after', () => {
    const epochs = epochsOf(row, su)
    assert.equal(judgePlace(epochs, at(su, 0, 3)), 'stands')
    assert.equal(judgePlace(epochs, at(su, 0, 4, headAt(4).assignment)), 'stands')
    assert.equal(judgePlace(epochs, at(su, 0, 4)), 'void', 'the other branch')
    assert.equal(judgePlace(epochs, at(su, 0, 5)), 'void', 'dropped')
    assert.equal(judgePlace(epochs, at(heir, 1, 4)), 'void', 'that place is taken')
    assert.equal(judgePlace(epochs, at(heir, 1, 5)), 'stands')
    assert.equal(judgePlace(epochs, at(su, 1, 5)), 'void')
    assert.equal(judgePlace(epochs, at(heir, 2, 5)), 'unknown')
  })

  it('leaves open where an epoch ended while there are bids', () => {
    const past = [...row.past, { epoch: 1, scheduler: heir, from: 9, to: 20, last: undefined }]
    const epochs = epochsOf({ ...row, phase: 'bidding', past }, su)
    assert.equal(judgePlace(epochs, at(heir, 1, 77)), 'stands')
    assert.equal(judgePlace(epochs, at(third, 2, 6)), 'unknown')
  })
})

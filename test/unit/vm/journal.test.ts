import assert from 'node:assert/strict'
import type { VmMessage } from '../../../src/ports/vm.ts'
import { emptyOutbox } from '../../../src/protocol/result.ts'
import { Journal } from '../../../src/vm/journal.ts'

const message = (nonce: number, Data = ''): VmMessage => ({ Nonce: nonce, Data })
const step = (applied: number, error?: string) => ({
  applied,
  evaluation: { outbox: emptyOutbox, output: '', error, gasUsed: 1n },
})
const nonces = (journal: Journal, from: number): unknown => journal.since(from)?.messages.map(({ Nonce }) => Nonce)

describe('vm/journal', () => {
  const filled = (to: number, ms = 1): Journal => {
    const journal = new Journal()
    for (let nonce = 5; nonce <= to; nonce++) journal.note(step(nonce + 1), message(nonce), ms)
    return journal
  }

  it('tells what a copy has missed, and nothing when it does not know all of it', () => {
    const journal = filled(9)
    assert.deepEqual(nonces(journal, 7), [7, 8, 9])
    assert.equal(journal.since(7)?.applied, 10)
    assert.deepEqual(nonces(journal, 5), [5, 6, 7, 8, 9])
    assert.equal(nonces(journal, 4), undefined)
    assert.equal(new Journal().since(0), undefined)
  })

  it('leaves out what failed, which changed nothing, but counts it', () => {
    const journal = filled(6)
    journal.note(step(8, 'no'), message(7), 1)
    journal.note(step(9), message(8), 1)
    assert.deepEqual(nonces(journal, 6), [6, 8])
    assert.equal(journal.since(6)?.applied, 9)
  })

  it('keeps no more than is cheaper to evaluate again than to copy', () => {
    assert.equal(nonces(filled(40), 20), undefined)
    assert.deepEqual(nonces(filled(40), 39), [39, 40])
    assert.equal(nonces(filled(9, 15), 7), undefined)
    assert.deepEqual(nonces(filled(9, 15), 9), [9])
    const journal = filled(6)
    journal.note(step(8), message(7, 'x'.repeat(100_000)), 1)
    assert.equal(nonces(journal, 7), undefined)
  })

  it('forgets what was before a gap', () => {
    const journal = filled(9)
    journal.note(step(12), message(11), 1)
    assert.equal(nonces(journal, 9), undefined)
    assert.deepEqual(nonces(journal, 11), [11])
  })
})

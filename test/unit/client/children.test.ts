import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Children } from '../../../src/client/children.ts'
import type { CrankPart, CrankProgress } from '../../../src/ports/units.ts'
import type { MessageId, Nonce, ProcessId } from '../../../src/protocol/ids.ts'

const root = step('root', {
  parts: [
    ['one', 'a'],
    ['none', 'wallet'],
    ['two', 'b'],
  ],
  process: 'p',
})
const family = [
  step('one', { depth: 1, parts: [['grandchild of one', 'p']], process: 'a' }),
  step('two', { depth: 1, parts: [['for both', 'd c']], process: 'b' }),
  step('told', { depth: 1, process: 'p', nonce: 3 }),
  step('told later', { depth: 1, process: 'p', nonce: 4 }),
  step('grandchild of one', { depth: 2, process: 'p', nonce: 5 }),
  step('for both', { depth: 2, process: 'd' }),
  step('for both', { depth: 2, process: 'c' }),
]

describe('children of a message', () => {
  it('come in the order of cause, in whatever order they are heard of', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([root, ...family], { minLength: family.length + 1 }), heard => {
        const children = new Children(root)
        for (const one of heard) children.add(one)
        assert.deepEqual(children.list(), family)
      }),
    )
  })

  it('are shown as they were last', () => {
    const children = new Children(root)
    const [one] = family as [CrankProgress]
    for (const state of ['queued', 'pushing', 'done'] as const) children.add({ ...one, state })
    assert.deepEqual(children.list(), [{ ...one, state: 'done' }])
  })

  it('keep their place where two MUs share an outbox, whoever tells last', () => {
    const mine = step('root', {
      parts: [
        ['one', 'a'],
        [undefined, 'b'],
      ],
      process: 'p',
    })
    const other = step('root', {
      parts: [
        [undefined, 'a'],
        ['two', 'b'],
      ],
      process: 'p',
    })
    const [one, two] = family as [CrankProgress, CrankProgress]
    for (const heard of [
      [two, one, mine, other],
      [other, two, one, mine],
    ]) {
      const children = new Children(root)
      for (const step of heard) children.add(step)
      assert.deepEqual(children.list(), [one, two])
    }
  })
})

function step(
  message: string,
  at: {
    depth?: number
    process: string
    nonce?: number
    parts?: readonly (readonly [message: string | undefined, target: string])[]
  },
): CrankProgress {
  const parts = (at.parts ?? []).map(([pushed, target]): CrankPart => {
    const id = pushed as MessageId | undefined
    return {
      kind: 'message',
      target,
      state: 'pushed',
      message: id,
      nonce: undefined,
      handedTo: undefined,
      reason: undefined,
    }
  })
  return {
    ...{ process: at.process as ProcessId, message: message as MessageId, nonce: (at.nonce ?? 1) as Nonce, parts },
    ...{ depth: at.depth ?? 0, state: 'done', attempts: 0, reason: undefined, at: 0, result: undefined },
  }
}

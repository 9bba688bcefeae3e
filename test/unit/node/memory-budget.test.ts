import assert from 'node:assert/strict'
import { loadConfig } from '../../../src/node/config.ts'
import { memoryBudget, memoryWarning } from '../../../src/node/memory-budget.ts'

describe('node/memory-budget', () => {
  const total = (flags: Record<string, unknown>, workers = 1): number =>
    memoryBudget(loadConfig({ flags }), workers).reduce((sum, { bytes }) => sum + bytes, 0)

  it('grows with each limit that is raised, and leaves out what roles are not there for', () => {
    const cu = total({ roles: 'CU' })
    assert.ok(total({ roles: 'CU', computeMemoryMb: 1_000_000 }) > cu)
    assert.ok(total({ roles: 'CU' }, 4) > cu)
    assert.ok(total({ roles: 'CU', maxItemBytes: 64 * 1024 * 1024 }) > cu)
    assert.ok(total({ roles: 'SU', maxPending: 1_000_000 }) > total({ roles: 'SU' }))
    assert.ok(total({ roles: 'MU' }) < cu)
    const relay = total({ roles: 'CU', relayServer: true }) - cu
    assert.equal(relay, 128 * 1024 * 1024, 'both sides of 256 streams')
  })

  it('warns only if the machine is too small, and names what takes most', () => {
    const shares = memoryBudget(loadConfig({ flags: { roles: 'CU', computeMemoryMb: 10_000 } }), 2)
    assert.equal(memoryWarning(shares, Number.MAX_SAFE_INTEGER), undefined)
    assert.match(memoryWarning(shares, 1024 ** 3) ?? '', /there are 1024 MiB; most of it: evaluation threads/)
  })
})

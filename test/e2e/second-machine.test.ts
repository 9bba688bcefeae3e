import assert from 'node:assert/strict'
import { fork, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Seen } from '../support/two-machines.ts'

/** Namespaces and cables need Linux and its permission. */
const mayIsolate = (): boolean =>
  spawnSync('unshare', ['-rn', 'ip', 'link', 'add', 'one', 'type', 'veth', 'peer', 'name', 'two']).status === 0

describe('a newcomer on another machine', function () {
  this.timeout(180_000)
  let cwd: string
  before(function () {
    if (!mayIsolate()) this.skip()
    cwd = mkdtempSync(join(tmpdir(), 'aonet-e2e-'))
  })
  after(() => {
    if (cwd !== undefined) rmSync(cwd, { recursive: true, force: true })
  })

  it('joins by the one line that `testnet up --host` printed, is reached there, and evaluates', async () => {
    const program = fileURLToPath(new URL('../support/two-machines.js', import.meta.url))
    const child = fork(program, { cwd, execPath: 'unshare', execArgv: ['-rn', process.execPath] })
    const exited = once(child, 'exit')
    const [seen] = (await Promise.race([
      once(child, 'message'),
      exited.then(() => assert.fail('it ended before it had seen anything')),
    ])) as [Seen]
    await exited
    assert.match(seen.grpc, /^10\.77\.0\.2:\d+$/)
    assert.equal(seen.asked.address, seen.newcomer)
    assert.deepEqual(seen.asked.roles, ['CU'])
    assert.equal(seen.result.nonce, 0)
    assert.equal(seen.result.compute, seen.newcomer)
  })
})

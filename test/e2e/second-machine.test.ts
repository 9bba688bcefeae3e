import assert from 'node:assert/strict'
import { fork, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Neighbours } from '../support/lan-neighbours.ts'
import type { NewcomerSeen } from '../support/newcomer-elsewhere.ts'

/** Namespaces and cables need Linux and its permission. */
const mayIsolate = (): boolean =>
  spawnSync('unshare', ['-rn', 'ip', 'link', 'add', 'one', 'type', 'veth', 'peer', 'name', 'two']).status === 0

describe('a node on another machine', function () {
  this.timeout(180_000)
  let cwd: string
  before(function () {
    if (!mayIsolate()) this.skip()
  })
  beforeEach(() => {
    cwd = mkdtempSync(join(tmpdir(), 'aonet-e2e-'))
  })
  afterEach(() => rmSync(cwd, { recursive: true, force: true }))

  /** What a program saw that runs on two machines. */
  async function seenBy<T>(program: string): Promise<T> {
    const file = fileURLToPath(new URL(`../support/${program}.js`, import.meta.url))
    const child = fork(file, { cwd, execPath: 'unshare', execArgv: ['-rn', process.execPath] })
    const exited = once(child, 'exit')
    const ended = exited.then(() => assert.fail('it ended before it had seen anything'))
    const [seen] = (await Promise.race([once(child, 'message'), ended])) as [T]
    await exited
    return seen
  }

  it('joins by the one line that `testnet up --host` printed, is reached there, and evaluates', async () => {
    const seen = await seenBy<NewcomerSeen>('newcomer-elsewhere')
    assert.match(seen.grpc, /^10\.77\.0\.2:\d+$/)
    assert.equal(seen.asked.address, seen.newcomer)
    assert.deepEqual(seen.asked.roles, ['CU'])
    assert.equal(seen.result.nonce, 0)
    assert.equal(seen.result.compute, seen.newcomer)
  })

  it('of the same local network is found by multicast, with no address to join at', async () => {
    const { addresses, found } = await seenBy<Neighbours>('lan-neighbours')
    assert.deepEqual(found, [[addresses[1]], [addresses[0]]])
  })
})

import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { request } from 'node:http'
import { generateKey as generateSwarmKey } from '@libp2p/pnet'
import { silentLogger } from '../../../src/lib/telemetry.ts'
import { peerIdOf } from '../../../src/network/libp2p/peer-key.ts'
import { AdminServer, adminSocketPath } from '../../../src/node/admin.ts'
import { adminCalls } from '../../../src/node/admin-calls.ts'
import { createTelemetry } from '../../../src/node/telemetry.ts'
import { testJwk, withTempDir } from '../../support/builders.ts'
import { eventually } from '../../support/eventually.ts'
import { stopAll, TestNode } from './test-node.ts'

describe('who may be a peer', function () {
  this.timeout(30_000)
  let nodes: TestNode[]
  const start = async (name: string, options: ConstructorParameters<typeof TestNode>[1] = {}): Promise<TestNode> => {
    const node = new TestNode(name, options)
    nodes.push(node)
    return node.start()
  }
  beforeEach(() => {
    nodes = []
  })
  afterEach(() => stopAll(nodes))

  it('keeps out whom the operator denies, and all but whom he allows', async () => {
    const id = (name: string): string => peerIdOf(testJwk(name))
    const picky = await start('picky', { deny: [id('denied')] })
    const closed = await start('closed', { allow: [id('friend')] })
    const open = await start('open')
    const bootstrap = [picky.multiaddr, closed.multiaddr, open.multiaddr]
    const [friend, denied] = [await start('friend', { bootstrap }), await start('denied', { bootstrap })]
    await eventually('the friend is in', () => friend.host.peers.size >= 3)
    await eventually('the denied is in elsewhere', () => denied.host.peers.has(open.host.peerId))
    await eventually('it knows whom it may not meet', () => denied.knows([picky, closed]))
    assert.ok(!picky.host.peers.has(denied.host.peerId))
    assert.deepEqual([...closed.host.peers], [friend.host.peerId])
  })

  it('keeps a private network among those who have its key', async () => {
    const [key, other] = [new Uint8Array(95), new Uint8Array(95)]
    generateSwarmKey(key)
    generateSwarmKey(other)
    const first = await start('private-1', { preSharedKey: key })
    const bootstrap = [first.multiaddr]
    const second = await start('private-2', { preSharedKey: key, bootstrap })
    const stranger = await start('stranger', { preSharedKey: other, bootstrap })
    const keyless = await start('keyless', { bootstrap })
    await eventually('those with the key meet', () => second.knows([first]) && first.knows([second]))
    await eventually(
      'the others fail',
      () => [stranger, keyless].every(node => node.logged('bootstrap-unreachable')),
      15_000,
    )
    assert.deepEqual([...first.host.peers], [second.host.peerId])
  })

  it('shows on the admin socket whom it knows, how they behave, and why one is banned', () =>
    withTempDir(async dir => {
      const me = await start('me')
      const friend = await start('friend', { bootstrap: [me.multiaddr], roles: ['SU'] })
      const liar = await start('liar', { bootstrap: [me.multiaddr] })
      await eventually('all know all', () => me.knows([friend, liar]))
      const telemetry = createTelemetry({ level: 'error', node: 'me' })
      const admin = new AdminServer(
        { log: silentLogger, calls: adminCalls({ ...me, telemetry, status: async () => ({ fine: true }) }) },
        adminSocketPath(dir),
      )
      await admin.start()
      try {
        assert.equal(statSync(adminSocketPath(dir)).mode & 0o777, 0o600)
        for (let i = 0; i < 12; i++) me.host.ledger.blame(liar.host.peerId, 'record-invalid')
        await eventually('it is hung up on', () => !me.host.peers.has(liar.host.peerId))
        const peers = (await ask(dir, 'peers')).value as unknown as Record<string, unknown>[]
        const of = (node: TestNode) => peers.find(({ peer }) => peer === node.host.peerId)
        assert.equal(of(friend)?.['state'], 'connected')
        assert.deepEqual(of(friend)?.['roles'], ['SU'])
        assert.equal(of(liar)?.['state'], 'banned')
        assert.deepEqual(of(liar)?.['offences'], { 'record-invalid': 12 })
        assert.deepEqual((await ask(dir, 'unban', { peer: liar.host.peerId })).value, { forgiven: true })
        await eventually('it is back', () => me.host.peers.has(liar.host.peerId), 15_000)
        assert.deepEqual((await ask(dir, 'logs/level', { level: 'warn' })).value, { level: 'warn' })
        assert.equal((await ask(dir, 'logs/level', { level: 'loud' })).status, 400)
        assert.equal((await ask(dir, 'nothing')).status, 400)
      } finally {
        await admin.stop()
      }
    }))
})

const ask = (dir: string, path: string, body: object = {}): Promise<{ status: number; value: unknown }> =>
  new Promise((resolve, reject) => {
    const asking = request({ socketPath: adminSocketPath(dir), path: `/${path}`, method: 'POST' }, response => {
      let text = ''
      response.on('data', part => {
        text += String(part)
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, value: JSON.parse(text) }))
    })
    asking.on('error', reject)
    asking.end(JSON.stringify(body))
  })

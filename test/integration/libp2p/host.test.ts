import assert from 'node:assert/strict'
import { AoError } from '../../../src/lib/errors.ts'
import { peerIdOf } from '../../../src/network/libp2p/peer-key.ts'
import { readRecords, requested, sendRecords } from '../../../src/network/libp2p/record-exchange.ts'
import { testJwk } from '../../support/builders.ts'
import { eventually } from '../../support/eventually.ts'
import { stopAll, TestNode } from './test-node.ts'

describe('the libp2p host', function () {
  this.timeout(20_000)
  let nodes: TestNode[]
  const start = async (...args: ConstructorParameters<typeof TestNode>): Promise<TestNode> => {
    const node = new TestNode(...args)
    nodes.push(node)
    return node.start()
  }

  beforeEach(() => {
    nodes = []
  })
  afterEach(() => stopAll(nodes))

  it('knows its PeerId before it starts and shows dialable addresses after', async () => {
    const node = new TestNode('a')
    assert.equal(node.host.peerId, peerIdOf(testJwk('a')))
    assert.deepEqual(node.host.multiaddrs, [])
    nodes.push(node)
    await node.start()
    assert.match(node.multiaddr, /^\/ip4\/127\.0\.0\.1\/tcp\/[1-9][0-9]*\/p2p\/12D3KooW/)
    assert.ok(node.multiaddr.endsWith(`/p2p/${node.host.peerId}`))
  })

  it('shows what it is told to announce instead of what it listens on', async () => {
    const node = await start('a', { announce: ['/dns4/node.example/tcp/4001'] })
    assert.deepEqual(node.host.multiaddrs, [`/dns4/node.example/tcp/4001/p2p/${node.host.peerId}`])
  })

  it('says which port is in use and what to do, and can start once it is free', async () => {
    const first = await start('first')
    const port = first.multiaddr.split('/')[4]
    const second = new TestNode('second', { listen: [`/ip4/127.0.0.1/tcp/${port}`] })
    await assert.rejects(second.start(), (error: unknown) => {
      assert.ok(error instanceof AoError)
      assert.equal(error.code, 'PORT_IN_USE')
      assert.equal(error.facts['listen'], `/ip4/127.0.0.1/tcp/${port}`)
      assert.match(error.hint ?? '', /port/)
      return true
    })
    await first.stop()
    nodes.push(second)
    await second.start()
    assert.equal(second.multiaddr.split('/')[4], port)
  })

  it('refuses keys and addresses it cannot use before it starts', () => {
    assert.throws(() => new TestNode('a', { jwk: { ...testJwk('a'), kty: 'RSA' } }), { code: 'INVALID_ARGUMENT' })
    for (const options of [{ listen: ['127.0.0.1:4001'] }, { bootstrap: ['nonsense'] }, { announce: ['/tcp'] }]) {
      assert.throws(() => new TestNode('a', options), { code: 'INVALID_CONFIG' }, JSON.stringify(options))
    }
  })

  it('waits for a bootstrap node that starts later, and leaves itself out of the list', async () => {
    const later = await start('later')
    const { multiaddr } = later
    await later.stop()
    const early = await start('early', { bootstrap: [multiaddr] })
    await eventually('the first try failed', () => early.logged('bootstrap-unreachable'))
    const again = await start('later', { listen: [multiaddr.split('/p2p/')[0] ?? ''], bootstrap: [multiaddr] })
    await eventually('they meet', () => early.host.peers.has(again.host.peerId), 10_000)
    assert.equal(again.logged('bootstrap-unreachable'), false)
  })

  it('starts and stops twice without harm, and again after a stop', async () => {
    const node = await start('a')
    const peer = await start('b', { bootstrap: [node.multiaddr] })
    await eventually('they meet', () => node.host.peers.size === 1)
    await peer.start()
    await peer.stop()
    await peer.stop()
    await eventually('it left', () => node.host.peers.size === 0)
    await peer.start()
    await eventually('they meet again', () => node.host.peers.size === 1 && node.knows([peer]))
  })

  it('carries a full book of records to a newcomer, and refuses an answer without end', async () => {
    const [a, b] = [await start('a'), await start('b')]
    await b.directory.stop()
    await b.host.dial(a.host.peerId, a.host.multiaddrs)
    await eventually('they meet', () => a.host.peers.size === 1 && b.host.peers.size === 1)
    const many = Array.from({ length: 4096 }, (_, i) => Buffer.alloc(1300, i % 251))
    b.host.serveRecords(stream => sendRecords(stream, many))
    const read = async (signal: AbortSignal): Promise<readonly Uint8Array[]> =>
      readRecords(await a.host.askRecords(b.host.peerId, { signal }), { signal })
    const got = await read(AbortSignal.timeout(10_000))
    assert.equal(got.length, 4096)
    assert.ok(got.every((record, i) => record.length === 1300 && record[7] === i % 251))

    const frame = (length: number, body: number): Uint8Array => {
      const bytes = Buffer.alloc(4 + body)
      bytes.writeUInt32BE(length)
      return bytes
    }
    const answers: Readonly<Record<string, { code: string; frames: Uint8Array[] }>> = {
      'a record above 8 KiB': { code: 'TOO_LARGE', frames: [frame(8193, 100)] },
      'more than 4096 records': { code: 'TOO_LARGE', frames: Array.from({ length: 4097 }, () => frame(1, 1)) },
      'more than 8 MiB': { code: 'TOO_LARGE', frames: Array.from({ length: 2000 }, () => frame(8000, 8000)) },
      'bytes after the end': { code: 'INVALID_ARGUMENT', frames: [frame(0, 3)] },
      'half a record, then silence': { code: 'DEADLINE', frames: [frame(100, 50)] },
    }
    for (const [what, { code, frames }] of Object.entries(answers)) {
      b.host.serveRecords(async stream => {
        await requested(stream)
        for (const bytes of frames) if (!stream.send(bytes)) await stream.onDrain()
      })
      const limit = AbortSignal.timeout(code === 'DEADLINE' ? 300 : 10_000)
      await assert.rejects(read(limit), { code }, what)
    }
    b.host.serveRecords(async stream => {
      await requested(stream)
      stream.send(frame(100, 50))
      await stream.close()
    })
    await assert.rejects(read(AbortSignal.timeout(10_000)), { code: 'PEER_UNREACHABLE' }, 'half a record and the end')
    b.host.serveRecords(stream => stream.close())
    await assert.rejects(read(AbortSignal.timeout(10_000)), { code: 'PEER_UNREACHABLE' }, 'nothing and the end')
    b.host.serveRecords(async stream => stream.abort(new Error('no')))
    await assert.rejects(read(AbortSignal.timeout(10_000)), AoError, 'a reset')
    assert.equal(a.host.peers.size, 1, 'a bad answer costs the stream, not the connection')
  })

  it('answers when it is asked and not before, for libp2p loses an answer that comes too early', async () => {
    const [a, b] = [await start('a'), await start('b', { directory: { targetConnections: 0 } })]
    await a.host.dial(b.host.peerId, b.host.multiaddrs)
    await eventually('they know each other', () => a.knows([b]) && b.knows([a]))
    const { directory } = b
    await a.directory.stop()
    const silent = await a.host.askRecords(b.host.peerId)
    const asked = await a.host.askRecords(b.host.peerId)
    const records = await readRecords(asked, { signal: AbortSignal.timeout(5_000) })
    assert.equal(records.length, directory.all().length)
    assert.equal(silent.remoteWriteStatus, 'writable')
    assert.equal(silent.readBufferLength, 0)
    assert.equal((await readRecords(silent, { signal: AbortSignal.timeout(5_000) })).length, directory.all().length)
  })

  it('ends the exchange with a peer that sends a forged record, and keeps the good ones before it', async () => {
    const good = await start('good')
    const liar = await start('liar')
    const raw = good.directory.get(good.address)?.raw ?? new Uint8Array(0)
    const forged = Uint8Array.from(raw)
    forged[raw.length - 1] = (forged[raw.length - 1] ?? 0) ^ 1
    await liar.directory.stop()
    liar.host.serveRecords(stream => sendRecords(stream, [raw, forged]))
    const reader = await start('reader', { bootstrap: [liar.multiaddr], directory: { targetConnections: 0 } })
    await eventually('the forgery is seen', () => reader.logged('records-not-exchanged'))
    const { facts } = reader.events.find(({ event }) => event === 'records-not-exchanged') ?? {}
    assert.match(String(facts?.['reason']), /signature/)
    assert.ok(reader.knows([good]))
    assert.equal(reader.directory.all().length, 2)
  })

  it('refuses to start a directory whose own record others would refuse', async () => {
    const node = new TestNode('a', { roles: ['CU', 'CU'] })
    await assert.rejects(node.start(), { code: 'INVALID_RECORD' })
    assert.deepEqual(node.host.multiaddrs, [], 'and nothing of it stays up')
  })

  it('renews its record before it expires, and says nothing after it stopped', async () => {
    const directory = { refreshMs: 200, lifetimeMs: 5_000 }
    const a = await start('a', { directory })
    const b = await start('b', { bootstrap: [a.multiaddr], directory })
    await eventually('they know each other', () => a.knows([b]) && b.knows([a]))
    const issued = (): number => a.directory.get(b.address)?.issuedAt ?? 0
    const first = issued()
    await eventually('renewed twice', () => issued() > first + 300, 10_000)
    await b.directory.stop()
    await eventually('it expires', () => !a.knows([b]), 10_000)
    assert.equal(a.directory.find('CU').length, 1)
  })
})

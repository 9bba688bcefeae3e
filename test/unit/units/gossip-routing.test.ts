import assert from 'node:assert/strict'
import { AoError } from '../../../src/lib/errors.ts'
import { absentMessenger } from '../../../src/network/grpc/absent-units.ts'
import type { Messenger } from '../../../src/ports/units.ts'
import type { DataItem } from '../../../src/protocol/data-item.ts'
import { rendezvous } from '../../../src/units/routing/routed-compute.ts'
import { aMessage, messages, processIdOf, testSigner } from '../../support/builders.ts'
import { eventually } from '../../support/eventually.ts'
import { UnitNetwork, type UnitNode } from '../../support/unit-network.ts'

describe('units/routing/gossip', () => {
  let net: UnitNetwork
  /** Who submitted what, in order. */
  let submitted: { readonly who: string; readonly bytes: Uint8Array }[]
  /** MUs that hear and never act. */
  let mute: Set<string>
  let su: UnitNode
  let process: DataItem
  const mus = ['mu-1', 'mu-2', 'mu-3']

  const watched = (who: string, unit: Messenger | undefined): Messenger | undefined =>
    unit && {
      ...absentMessenger,
      async submit(bytes, options) {
        submitted.push({ who, bytes })
        if (mute.has(who)) throw new AoError('PEER_UNREACHABLE', 'this MU is as good as dead')
        return unit.submit(bytes, options)
      },
      crank: (...all) => unit.crank(...all),
      follow: (...all) => unit.follow(...all),
    }
  const order = (item: DataItem): readonly string[] =>
    rendezvous(
      item.id,
      mus.map(name => ({ name, address: testSigner(name).address })),
    ).map(({ name }) => name)

  beforeEach(async () => {
    net = new UnitNetwork({ echo: state => ({ state, answer: { Output: 'ok' } }) })
    submitted = []
    mute = new Set()
    su = await net.node('su', ['SU'])
    for (const name of mus) {
      await net.node(name, ['MU'], { wrap: { intake: unit => watched(name, unit) } })
    }
    process = await net.spawn(su, 'echo')
    // Nobody can call an MU: gossip is the only way.
    for (const name of mus) net.network.down.add(testSigner(name).address)
  })
  afterEach(() => net.stop())

  it('has a message ordered for a peer that reaches no MU, by one MU alone', async () => {
    const peer = await net.node('peer', [])
    const message = await aMessage(process)
    const assignment = await peer.messenger.submit(message.raw)
    assert.equal(assignment.message, message.id)
    assert.equal(assignment.nonce, 1)
    await net.hub.settled()
    assert.deepEqual(
      submitted.map(({ who }) => who),
      [order(message)[0]],
    )
  })

  it('spreads messages over the MUs', async () => {
    const peer = await net.node('peer', [])
    for (const message of await messages(process, 30)) await peer.messenger.submit(message.raw)
    for (const name of mus) assert.ok(submitted.filter(({ who }) => who === name).length >= 3, name)
    assert.equal(submitted.length, 30)
  })

  it('lets the next MU take over when the first does not have it ordered in time', async () => {
    const peer = await net.node('peer', [])
    const message = await aMessage(process)
    const [first = '', second = ''] = order(message)
    mute.add(first)
    const assignment = await peer.messenger.submit(message.raw)
    assert.equal(assignment.nonce, 1)
    assert.deepEqual(
      submitted.map(({ who }) => who),
      [first, second],
    )
  })

  it('orders a message once, though all MUs submit it and it is published again', async () => {
    const peers = [await net.node('peer-1', []), await net.node('peer-2', [])]
    const message = await aMessage(process)
    const given = await Promise.all(peers.map(({ messenger }) => messenger.submit(message.raw)))
    for (const node of net.nodes.filter(({ mu }) => mu !== undefined))
      given.push(await must(node.mu).submit(message.raw))
    assert.equal(new Set(given.map(({ id }) => id)).size, 1)
    const rows = []
    for await (const row of su.scheduler.read(processIdOf(process), { from: 0 as never })) rows.push(row)
    assert.equal(rows.length, 2, 'the Process and the message')
  })

  it('judges before it forwards: forged bytes are rejected, a wallet that floods is ignored', async () => {
    const stranger = net.hub.join('stranger')
    const message = await aMessage(process)
    const forged = Uint8Array.from(message.raw)
    forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1
    await stranger.publish('messages', forged)
    await stranger.publish('messages', (await testSigner().sign({ tags: [], data: new Uint8Array(3) })).raw)
    await net.hub.settled()
    const verdicts = net.hub.verdicts.filter(({ from }) => from === 'stranger')
    assert.equal(verdicts.length, 8)
    assert.ok(verdicts.every(({ verdict }) => verdict === 'reject'))
    mute = new Set(mus) // what is taken is not the question here
    for (const { raw } of await messages(process, 150)) await stranger.publish('messages', raw)
    await net.hub.settled()
    const flood = net.hub.verdicts.filter(({ from, to }) => from === 'stranger' && to.startsWith('mu-1')).slice(2)
    const accepted = flood.filter(({ verdict }) => verdict === 'accept').length
    assert.ok(accepted >= 100 && accepted < 120, `${accepted}`)
    assert.ok(
      flood.every(({ verdict }) => verdict !== 'reject'),
      "too much is nobody else's fault",
    )
  })

  it('gives up when nobody has it ordered, with a deadline', async () => {
    mute = new Set(mus)
    const peer = await net.node('peer', [])
    const message = await aMessage(process)
    const signal = AbortSignal.timeout(300)
    await assert.rejects(peer.messenger.submit(message.raw, { signal }), { code: 'DEADLINE' })
    await eventually('all have tried', () => new Set(submitted.map(({ who }) => who)).size === 3)
  })
})

const must = <T>(value: T | undefined): T => {
  assert.ok(value !== undefined)
  return value
}

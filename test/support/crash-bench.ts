import assert from 'node:assert/strict'
import type { Client } from '../../src/client/client.ts'
import { utf8 } from '../../src/lib/bytes.ts'
import type { Assignment } from '../../src/protocol/assignment.ts'
import { parseAttestation } from '../../src/protocol/attestation.ts'
import { type DataItem, verifyDataItem } from '../../src/protocol/data-item.ts'
import type { Nonce, ProcessId } from '../../src/protocol/ids.ts'
import { claimedOrigin } from '../../src/protocol/origin.ts'
import { tagsOf, tagValue } from '../../src/protocol/tags.ts'
import { anId } from './builders.ts'
import { eventually } from './eventually.ts'
import { RealNetwork } from './real-network.ts'

/** `Go`: two Hits to the peer, one to itself; with `Wide` a spawn and a message to a wallet too. Hits are answered. */
const source = `
const tag = ({ Tags }, name) => Tags.find(each => each.name === name)?.value
const part = (target, action) => ({ Target: target, Data: '', Tags: [{ name: 'Action', value: action }] })
let seen = 0
export function handle(message, env) {
  if (message.Id === env.Process.Id) return { Output: 'born' }
  seen++
  const action = tag(message, 'Action')
  if (action === 'Hit') return { Output: seen, Messages: [part(message.From, 'Ack')] }
  if (action !== 'Go') return { Output: seen }
  const [peer, wallet] = [tag(message, 'Peer'), tag(message, 'Wallet')]
  const wide = tag(message, 'Wide') === 'yes'
  return {
    Output: seen,
    Messages: [part(peer, 'Hit'), part(peer, 'Hit'), part(env.Process.Id, 'Hit'), ...(wide ? [part(wallet, 'Hit')] : [])],
    Spawns: wide ? [{ Data: '1', Tags: [{ name: 'Module', value: tag(env.Process, 'Module') }] }] : [],
  }
}`

/** The MU, SU and first CU, which crash, and a second CU, which does not. */
const shape = { all: ['MU', 'SU', 'CU'], second: ['CU'] } as const

/**
 * Two Processes that send each other messages while their node crashes, and what must be true afterwards.
 */
export class CrashBench {
  readonly net: RealNetwork
  readonly acknowledged: Assignment[] = []
  readonly #sending = new Set<Promise<unknown>>()
  #client: Client | undefined
  #sender = '' as ProcessId
  #peer = '' as ProcessId
  #sent = 0

  /** @param program another build of the command line for the nodes. */
  constructor(program?: string) {
    this.net = new RealNetwork({ shape, ...(program === undefined ? {} : { program }) })
  }

  async start(): Promise<void> {
    await this.net.start()
    const module = await this.net.publish({ bytes: utf8(source), format: 'js-quickjs-1', name: 'crash' })
    this.#client = await this.net.client('all')
    const authorities = [this.net.node('all').address]
    this.#sender = (await this.client.spawn({ module, authorities })).process
    this.#peer = (await this.client.spawn({ module, authorities })).process
  }

  async stop(): Promise<void> {
    await this.#client?.close()
    await this.net.stop()
  }

  get client(): Client {
    assert.ok(this.#client)
    return this.#client
  }

  /** Sends until it is acknowledged, as a user does who wants it in: the same bytes again until somebody answers. */
  send(): Promise<Assignment> {
    const sending = this.#send()
    this.#sending.add(sending)
    return sending.finally(() => this.#sending.delete(sending))
  }

  async #send(): Promise<Assignment> {
    const wide = this.#sent++ % 4 === 0 ? 'yes' : 'no'
    const item = await this.net.user.sign({
      ...{ target: this.#sender, data: utf8(`message ${this.#sent}`) },
      tags: tagsOf(
        ...[['Data-Protocol', 'ao'] as const, ['Variant', 'ao.TN.1'] as const, ['Type', 'Message'] as const],
        ...[['Action', 'Go'] as const, ['Peer', this.#peer] as const, ['Wide', wide] as const],
        ['Wallet', anId('a wallet')],
      ),
    })
    const { messenger } = this.client.node.units
    const submit = (): Promise<Assignment | undefined> =>
      messenger.submit(item.raw, { signal: AbortSignal.timeout(5_000) }).catch(() => undefined)
    const assignment = await eventually('an acknowledgement', submit, 60_000)
    this.acknowledged.push(assignment)
    return assignment
  }

  /** Asks both CUs for the newest result, so that both work. */
  async evaluate(): Promise<void> {
    const { compute } = this.client.node.units
    const newest = this.acknowledged.at(-1)
    if (newest === undefined) return
    await compute.result(newest.process, newest.nonce, { signal: AbortSignal.timeout(5_000) }).catch(() => undefined)
  }

  /** Waits until all is delivered, then asserts what every crash must leave true. */
  async check(): Promise<void> {
    for (const node of this.net.nodes.values()) if (node.isGone) await node.start()
    await Promise.allSettled(this.#sending)
    await this.#assertAcknowledged() // from the start on, not only when all is quiet
    await this.#quiet()
    await this.#assertAcknowledged()
    const [sent, hit] = [await this.#rows(this.#sender), await this.#rows(this.#peer)]
    for (const rows of [sent, hit]) {
      assert.equal(new Set(rows.map(({ id }) => id)).size, rows.length, 'a message has two nonces')
    }
    this.#assertParts(sent, hit)
    await this.#assertEqualStates(this.#sender, sent.length)
    await this.#assertEqualStates(this.#peer, hit.length)
  }

  async #assertAcknowledged(): Promise<void> {
    const rows = await eventually('the SU to answer', () => this.#rows(this.#sender).catch(unlessWrong), 60_000)
    for (const { process, nonce, message } of this.acknowledged) {
      assert.equal(process, this.#sender)
      assert.equal(rows[nonce]?.id, message, 'an acknowledged message is not where it was said to be')
    }
  }

  async #quiet(): Promise<void> {
    const quiet = async (): Promise<boolean> => {
      const status = await this.net.node('all').status()
      return (status?.['messenger'] as { open?: number } | undefined)?.open === 0
    }
    await eventually('all to be delivered', quiet, 120_000)
  }

  /** Each part of each outbox once, to its target, in order. */
  #assertParts(sent: readonly DataItem[], hit: readonly DataItem[]): void {
    const acknowledged = new Set(this.acknowledged.map(({ nonce }) => Number(nonce)))
    const origins = [...sent, ...hit].flatMap(item => claimedOrigin(item) ?? [])
    assert.equal(new Set(origins).size, origins.length, 'a part was applied twice')
    const places = (rows: readonly DataItem[], process: ProcessId, nonce: number): readonly string[] =>
      rows
        .flatMap(item => claimedOrigin(item) ?? [])
        .filter(origin => origin.startsWith(`${process} ${nonce} `))
        .map(origin => origin.split(' ')[2] ?? '')
    for (const [nonce, { tags }] of sent.entries()) {
      const action = tagValue(tags, 'Action')
      if (action === 'Hit')
        assert.deepEqual(places(sent, this.#sender, nonce), ['0'], `answer to ${nonce} of the sender`)
      // What is ordered and was never acknowledged has nobody who pushes it: a user who wants it sends it again.
      if (action !== 'Go' || !acknowledged.has(nonce)) continue
      assert.deepEqual(places(hit, this.#sender, nonce), ['0', '1'], `parts of ${nonce} at the peer`)
      const own = tagValue(tags, 'Wide') === 'yes' ? ['2', '4'] : ['2'] // 3 goes to a wallet, 4 is the child's news
      assert.deepEqual([...places(sent, this.#sender, nonce)].sort(), own, `parts of ${nonce} at the sender`)
    }
    for (const [nonce, { tags }] of hit.entries()) {
      if (tagValue(tags, 'Action') !== 'Hit') continue
      assert.deepEqual(places(sent, this.#peer, nonce), ['0'], `answer to ${nonce} of the peer`)
    }
  }

  async #rows(process: ProcessId): Promise<readonly DataItem[]> {
    const rows: DataItem[] = []
    for await (const { assignment, message } of this.client.node.units.scheduler.read(process, { from: 0 as Nonce })) {
      assert.equal(assignment.nonce, rows.length, 'the nonces have no gap')
      assert.ok(message)
      rows.push(message)
    }
    return rows
  }

  async #assertEqualStates(process: ProcessId, length: number): Promise<void> {
    const roots: string[] = []
    for (const name of ['all', 'second']) {
      const client = await this.net.client(name)
      const { compute } = client.node.units
      const newest = () => compute.result(process, (length - 1) as Nonce).catch(unlessWrong)
      const { result, attestation } = await eventually('the CU to reach the SU again', newest, 60_000)
      assert.equal(parseAttestation(await verifyDataItem(attestation)).compute, this.net.node(name).address)
      roots.push(result.stateRoot)
      await client.close()
    }
    assert.equal(roots[0], roots[1], 'two CUs have different states')
  }
}

/** A node that has only just started may not answer yet. */
function unlessWrong(error: unknown): undefined {
  if (error instanceof assert.AssertionError) throw error
}

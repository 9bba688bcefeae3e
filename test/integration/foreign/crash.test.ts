import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type Client, connect } from '../../../src/client/index.ts'
import { echoFormat, echoModule } from '../../../src/modules/echo/echo.ts'
import { loadConfig } from '../../../src/node/config.ts'
import { createKey } from '../../../src/node/keys.ts'
import { type AoNode, createNode } from '../../../src/node/node.ts'
import type { NodeOptions } from '../../../src/node/settings.ts'
import type { DataItem } from '../../../src/protocol/data-item.ts'
import type { Address, Nonce, ProcessId } from '../../../src/protocol/ids.ts'
import { generateKey } from '../../../src/protocol/keys.ts'
import { tagValue } from '../../../src/protocol/tags.ts'
import { eventually } from '../../support/eventually.ts'
import { Gate } from '../../support/gate.ts'
import { RealNetwork } from '../../support/real-network.ts'

/** Where the MU dies on its way to an SU of another network. */
const places = ['foreign-signed', 'foreign-kept', 'foreign-taken', 'crank-delivered'] as const

describe('an MU killed on its way to an SU of another network', function () {
  this.timeout(240_000)
  const gate = new Gate()
  const settings: { -readonly [name in keyof NodeOptions]?: NodeOptions[name] } = {}
  const here = new RealNetwork({ shape: { home: ['SU', 'CU'], mu: ['MU'] }, blockMs: 300, settings })
  let there: AoNode
  let neighbour: Client
  let sender: ProcessId
  let target: ProcessId

  before(async function () {
    if (process.env['AONET_SLOW_TESTS'] !== '1') this.skip()
    const arweaveWallet = join(here.directory, 'payer.json')
    settings.arweaveWallet = arweaveWallet // the MU signs with it what goes there
    await here.start()
    await gate.start()
    const dataDir = join(here.directory, 'there')
    const keyFile = join(dataDir, 'key.json')
    createKey(keyFile, 'ed25519')
    const elsewhere = { network: 'elsewhere', insecurePlaintextKey: true, httpAdvertise: gate.url, logLevel: 'error' }
    const common = { dataDir, arweaveUrl: here.arweaveUrl, arweaveWallet, computeWorkers: 1, settleEveryMs: 500 }
    const flags = { ...common, ...elsewhere, roles: ['MU', 'SU', 'CU'] }
    there = createNode(loadConfig({ flags }), { version: 'test', keyFile })
    await there.start()
    gate.leadTo(there.httpUrl)
    const module = await here.publish({ bytes: echoModule(), format: echoFormat, name: 'echo' })
    const user = await here.client('mu')
    sender = (await user.spawn({ module })).process
    await user.close()
    neighbour = await connect(there.httpUrl, { wallet: generateKey('ed25519') })
    const believed = createKey(arweaveWallet, 'rsa').signer.address as Address
    target = (await neighbour.spawn({ module, authorities: [believed] })).process
    const isThere = async () => (await fetch(`${here.arweaveUrl}/${target}`)).ok
    await eventually('the Process on Arweave', isThere, 20_000)
  })
  after(async () => {
    await neighbour?.close()
    await there?.stop()
    await gate.stop()
    await here.stop()
  })

  for (const [i, place] of places.entries()) {
    it(`at ${place}: the other SU has the message once, and as one item`, async () => {
      const mu = here.node('mu')
      Object.assign(gate, { posts: 0, ids: [] })
      await mu.kill()
      await mu.startToCrash(`${place}:1`)
      const before = await here.client('mu')
      const ping = [
        { name: 'Action', value: 'Send-Ping' },
        { name: 'Recipient', value: target },
      ]
      await before.send(sender, { tags: ping }).catch(() => undefined) // it may die before it answers
      await eventually(`${place} to be crossed`, () => mu.isGone, 60_000)
      await before.close()
      assert.equal(gate.posts, place === 'foreign-signed' || place === 'foreign-kept' ? 0 : 1)

      await mu.start()
      const after = await here.client('mu')
      const nonce = (i + 1) as Nonce
      const { message } = await after.assignment(sender, nonce)
      for await (const _ of after.follow(sender, message)); // until it is quiet
      await after.close()
      const received = await inbox()
      assert.deepEqual(
        received.map(({ tags }) => Number(tagValue(tags, 'From-Nonce'))),
        Array.from({ length: i + 1 }, (_, at) => at + 1),
      )
      assert.equal(received.at(-1)?.signatureType, 1)
      assert.deepEqual([...new Set(gate.ids)], [received.at(-1)?.id])
      assert.equal(gate.posts, place === 'foreign-taken' || place === 'crank-delivered' ? 2 : 1)
    })
  }

  /** What the Process of the other network was sent. */
  async function inbox(): Promise<readonly DataItem[]> {
    const rows: DataItem[] = []
    for await (const { message } of neighbour.schedule(target, { from: 1 as Nonce })) if (message) rows.push(message)
    return rows
  }
})

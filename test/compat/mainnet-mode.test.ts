import assert from 'node:assert/strict'
import { connect, createSigner } from '@permaweb/aoconnect'
import { eventually } from '../support/eventually.ts'
import { type AoResult, outputText } from './ao-client.ts'
import { type Door, type Layout, LocalNetwork, layouts, triedLayouts } from './local-network.ts'

/** What we use of aoconnect's other mode; its own types promise more than it returns. */
interface MainnetConnect {
  spawn(args: object): Promise<string>
  message(args: object): Promise<unknown>
  result(args: object): Promise<AoResult>
  results(args: object): Promise<{ readonly edges: readonly { readonly cursor: string; readonly node: AoResult }[] }>
  dryrun(args: object): Promise<AoResult>
}

function suite(layout: Layout): void {
  const doors: readonly Door[] = layouts[layout]
  let network: LocalNetwork
  before(async () => {
    network = await LocalNetwork.start(layout)
  })
  after(() => network?.stop())

  for (const door of doors) {
    describe(`through ${door}`, () => {
      let ao: MainnetConnect
      // Where no node is both SU and MU, the caller says who pushes.
      const named = () => (layout !== 'whole' ? { authority: network.authority } : {})
      const spawn = (module: 'echo' | 'aos') => ao.spawn({ module: network.modules[module], tags: [], ...named() })
      before(() => {
        const signer = createSigner(network.wallet.jwk)
        const URL = network.node(door).httpUrl
        ao = connect({ MODE: 'mainnet', URL, signer } as never) as unknown as MainnetConnect
      })

      it('spawns, sends, and reads the result of a slot', async () => {
        const process = await spawn('echo')
        const count = { process, tags: [{ name: 'Action', value: 'Count' }] }
        assert.equal(await ao.message(count), 1)
        assert.equal(await ao.message(count), 2)
        assert.equal((await ao.result({ process, message: 1 })).Output, 'count 2')
        assert.equal((await ao.result({ process, slot: 2 })).Output, 'count 3')
        const { edges } = await ao.results({ process })
        assert.deepEqual([edges[0]?.cursor, edges[0]?.node.Output], ['2', 'count 3'])
      })

      it('answers with the message id, or with all it gave, where the caller asks for that', async () => {
        const process = await spawn('echo')
        const count = { process, tags: [{ name: 'Action', value: 'Count' }] }
        const id = (await ao.message({ ...count, returnMessageId: true })) as string
        assert.equal((await ao.result({ process, message: id })).Output, 'count 2')
        const full = (await ao.message({ ...count, opts: { fullResponse: true } })) as AoResult
        assert.equal(full.Output, 'count 3')
      })

      it('dry-runs with its tags in the path and leaves no trace', async () => {
        const process = await spawn('echo')
        const dry = () => ao.dryrun({ process, tags: [{ name: 'Action', value: 'Count' }] })
        assert.equal((await dry()).Output, 'count 2')
        assert.equal((await dry()).Output, 'count 2')
      })

      it('evaluates Lua, and what an aos Process sends itself is pushed and believed', async () => {
        const process = await spawn('aos')
        const run = async (data: string) => {
          const slot = await ao.message({ process, data, tags: [{ name: 'Action', value: 'Eval' }] })
          return outputText(await ao.result({ process, message: slot }))
        }
        assert.equal(
          await run('Seen = 0; Handlers.add("tick", "Tick", function() Seen = Seen + 1 end); return Seen'),
          '0',
        )
        await run('Send({ Target = ao.id, Action = "Tick" })')
        await eventually('the pushed message', async () => (await run('return Seen')) === '1', 30_000)
      })

      it('is told what is wrong', async () => {
        const process = await spawn('echo')
        await assert.rejects(ao.result({ process, message: 99 }), /Error getting result/)
        const url = network.node(door).httpUrl
        const answer = await fetch(`${url}/${process}~process@1.0/compute/results=99`)
        assert.equal(answer.status, 404)
        assert.equal(((await answer.json()) as { code: string }).code, 'UNKNOWN_MESSAGE')
        assert.equal((await fetch(`${url}/nonsense~process@1.0/slot/current`)).status, 400)
      })
    })
  }
}

for (const layout of triedLayouts) {
  describe(`aoconnect 0.0.98 in its mode mainnet, unchanged, with ${layouts[layout].join(' and ')}`, function () {
    this.timeout(120_000)
    suite(layout)
  })
}

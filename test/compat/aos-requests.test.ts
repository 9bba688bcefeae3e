import assert from 'node:assert/strict'
import { eventually } from '../support/eventually.ts'
import { type AoEdge, AoUser, outputText, readCursor } from './ao-client.ts'
import { type Door, type Layout, LocalNetwork, layouts, triedLayouts } from './local-network.ts'

interface FoundItem {
  readonly id: string
  readonly tags: readonly { readonly name: string; readonly value: string }[]
}

/** Each request that the aos command line 2.0.16 makes, in its order: compat.md section G. */
function suite(layout: Layout): void {
  const doors: readonly Door[] = layouts[layout]
  let network: LocalNetwork
  before(async () => {
    network = await LocalNetwork.start(layout)
  })
  after(() => network?.stop())

  const search = async (filter: string, variables: object, fields = ''): Promise<readonly FoundItem[]> => {
    const [name, type] = Object.hasOwn(variables, 'owners') ? ['$owners', '[String!]!'] : ['$name', 'String!']
    const query = `query (${name}: ${type}) { transactions(${filter}) { edges { node { id tags { name value } ${fields} } } } }`
    const answer = await fetch(`${network.gateway}/graphql`, {
      ...{
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ query, variables }),
      },
    })
    const { data } = (await answer.json()) as {
      data: { transactions: { edges: readonly { readonly node: FoundItem }[] } }
    }
    return data.transactions.edges.map(({ node }) => node)
  }
  const tagged = (...tags: readonly string[]) =>
    `tags: [${tags.map(tag => tag.split('=')).map(([name, value]) => `{ name: "${name}", values: [${value}] }`)}]`

  /** How aos looks for a Process of a name; one of the owners is an empty text. */
  const findByName = (name: string) =>
    search(`first: 10, owners: $owners, ${tagged('Data-Protocol="ao"', 'Type="Process"', `Name="${name}"`)}`, {
      owners: [network.wallet.signer.address, ''],
    })
  /** `--list`. */
  const listOwn = () =>
    search(
      `first: 100, owners: $owners, ${tagged('Data-Protocol="ao"', 'Type="Process"')}`,
      { owners: [network.wallet.signer.address] },
      'owner { address }',
    )
  /** `--module` with a name. */
  const findModule = (name: string) =>
    search(
      `${tagged('Type="Module"', 'Data-Protocol="ao"', 'Name=$name')}, sort: HEIGHT_DESC, first: 100`,
      { name },
      'block { timestamp }',
    )

  for (const door of doors) {
    it(`boot, evaluate, load a file, print live and find the Process again, through ${door}`, async () => {
      const user = await AoUser.of('0.0.98', { network, door })
      const name = `aos through ${door}`
      assert.deepEqual(await findByName(name), [])
      const process = await user.spawn('aos', [
        { name: 'App-Name', value: 'aos' },
        { name: 'Name', value: name },
        // aos adds that of the public network to every spawn.
        { name: 'Authority', value: 'fcoN_xJeisVsPXA-trzVAuIiqO3ydLQxM-L4XbrQKzY' },
        { name: 'aos-Version', value: '2.0.16' },
      ])

      const version = await user.message(process, 'Eval', { data: "require('.process')._version" })
      const { Output } = await user.ao.result({ process, message: version })
      assert.match((Output as { prompt: string }).prompt, /aos-2\.0\.4.*Inbox:/)
      assert.equal(outputText({ Output } as never), '2.0.4')

      const file = 'local M = {} M.answer = function() return 42 end _G.package.loaded["m"] = M return M.answer()'
      assert.equal(await user.evaluate(process, file), '42')
      await assert.rejects(user.evaluate(process, 'error("on purpose")'), /on purpose/)

      // The first look at what was printed goes backwards; its cursor is where the live print begins.
      const { edges } = await user.ao.results({ process, limit: 5, sort: 'DESC' })
      const newest = edges[0] as AoEdge
      assert.equal(Number(readCursor(newest).ordinate), 2)
      await user.evaluate(process, 'Handlers.add("hi", "Hi", function(m) print("got " .. m.Data) end)')
      await user.evaluate(process, 'Send({ Target = ao.id, Action = "Hi", Data = "a greeting" })')
      await eventually(
        'the live print',
        async () => {
          const live = await user.ao.results({ process, limit: 1000, from: newest.cursor })
          return live.edges.some(({ node }) => {
            const output = node.Output as { print?: boolean; data?: unknown }
            return output.print === true && JSON.stringify(output.data).includes('got a greeting')
          })
        },
        30_000,
      )

      const dry = { process, Owner: network.wallet.signer.address, tags: [{ name: 'Action', value: 'Eval' }] }
      assert.equal(outputText(await user.ao.dryrun({ ...dry, data: 'return 6 * 7' })), '42')
      await assert.rejects(async () => outputText(await user.ao.dryrun({ ...dry, data: 'error("dry")' })), /dry/)

      // Found once the spawn is settled.
      await eventually('the Process by its name', async () => (await findByName(name))[0]?.id === process, 30_000)
      assert.ok((await listOwn()).some(({ id }) => id === process))
      assert.deepEqual(
        (await findModule('aos')).map(({ id }) => id),
        [network.modules.aos],
      )
      assert.equal(await user.evaluate(process, 'return 6 * 7'), '42')
    })
  }
}

for (const layout of triedLayouts) {
  describe(`the requests of the aos command line, with ${layouts[layout].join(' and ')}`, function () {
    this.timeout(120_000)
    suite(layout)
  })
}

import assert from 'node:assert/strict'
import { GatewayClient } from '../../../src/arweave/gateway-client.ts'
import { utf8 } from '../../../src/lib/bytes.ts'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import { packBundle } from '../../../src/protocol/bundle.ts'
import type { DataItem } from '../../../src/protocol/data-item.ts'
import { type Tag, tagsOf } from '../../../src/protocol/tags.ts'
import { anId, anItem, aProcess, testSigner } from '../../support/builders.ts'
import { type Connection, idsOf, RunningDevnet } from './running-devnet.ts'

/** Queries as AO clients send them: compat.md section E numbers them. */
describe('devnet, GraphQL', () => {
  let devnet: RunningDevnet
  let module: DataItem
  let process: DataItem
  let oldLocation: DataItem
  let newLocation: DataItem
  let checkpoint: DataItem
  const su = testSigner('su')
  const user = testSigner('user')
  const ao = (...pairs: [string, string][]): readonly Tag[] => tagsOf(['Data-Protocol', 'ao'], ...pairs)

  const upload = async (item: DataItem): Promise<DataItem> => {
    assert.equal((await devnet.post('/tx/arweave', item.raw)).status, 200)
    return item
  }
  before(async () => {
    devnet = await RunningDevnet.start()
    const formats = tagsOf(['Module-Format', 'wasm64'], ['Input-Encoding', 'JSON'], ['Output-Encoding', 'JSON'])
    module = await upload(
      await anItem({ tags: [...ao(['Type', 'Module'], ['Name', 'aos']), ...formats], data: utf8('m') }),
    )
    const location = (url: string) =>
      anItem({ tags: ao(['Type', 'Scheduler-Location'], ['Url', url], ['Time-To-Live', '10']) }, su)
    oldLocation = await upload(await location('http://old'))
    await devnet.mine()
    process = await upload(await aProcess({ signer: user, tags: tagsOf(['Name', 'mine']) }))
    newLocation = await upload(await location('http://new'))
    checkpoint = await upload(
      await anItem({ tags: ao(['Type', 'Checkpoint'], ['Process', process.id]), anchor: 'c'.repeat(32) }, su),
    )
  })
  after(() => devnet.remove())

  it('answers 1: the module check of aoconnect', async () => {
    const { transactions } = await devnet.query(
      `query GetTransactions ($transactionIds: [ID!]!) {
        transactions(ids: $transactionIds) {
          edges { node { owner { address } tags { name value } block { id height timestamp } } }
        }
      }`,
      { transactionIds: [module.id] },
    )
    const node = transactions?.edges[0]?.node as { owner: unknown; tags: unknown; block: { height: number } }
    assert.deepEqual(node.owner, { address: module.owner })
    assert.deepEqual(node.tags, module.tags)
    assert.equal(node.block.height, 1_500_001)
  })

  it('answers 2: the Scheduler tag of a process, before its block', async () => {
    const { transactions } = await devnet.query(
      `query GetTransactions ($transactionIds: [ID!]!) {
        transactions(ids: $transactionIds, tags: [{ name: "Data-Protocol", values: ["ao"] }]) {
          edges { node { tags { name value } block { height } } }
        }
      }`,
      { transactionIds: [process.id] },
    )
    assert.deepEqual(
      transactions?.edges.map(({ node }) => node),
      [{ tags: process.tags, block: null }],
    )
  })

  it('answers 3: the newest Scheduler-Location of an owner, with a comment in the query', async () => {
    const { transactions } = await devnet.query(
      `query GetSchedulerLocation ($owner: String!) {
        transactions (
          owners: [$owner]
          tags: [
            { name: "Data-Protocol", values: ["ao"] },
            { name: "Type", values: ["Scheduler-Location"] }
          ]
          # Only need the most recent Scheduler-Location
          sort: HEIGHT_DESC
          first: 1
        ) { edges { node { id tags { name value } } } pageInfo { hasNextPage } }
      }`,
      { owner: su.address },
    )
    assert.deepEqual(idsOf(transactions), [newLocation.id], 'pending is newer than mined')
    assert.equal(transactions?.pageInfo.hasNextPage, true)
  })

  it('answers 4: the meta of a CU, which skips fields by variables', async () => {
    const query = `query GetTransactionMeta ($id: [ID!]!, $skipTag: Boolean!, $skipAnchor: Boolean!, $skipSignature: Boolean!) {
      transactions(ids: $id) {
        edges { node {
          id
          signature @skip (if: $skipSignature)
          anchor @skip (if: $skipAnchor)
          owner { address key }
          tags @skip (if: $skipTag) { name value }
          recipient
        } }
      }
    }`
    const skip = (skipTag: boolean) => ({ id: [checkpoint.id], skipTag, skipAnchor: skipTag, skipSignature: skipTag })
    const { transactions: all } = await devnet.query(query, skip(false))
    assert.deepEqual(all?.edges[0]?.node, {
      id: checkpoint.id,
      signature: Buffer.from(checkpoint.signature).toString('base64url'),
      anchor: Buffer.from('c'.repeat(32)).toString('base64url'),
      owner: { address: su.address, key: Buffer.from(checkpoint.ownerKey).toString('base64url') },
      tags: checkpoint.tags,
      recipient: '',
    })
    const { transactions: less } = await devnet.query(query, skip(true))
    assert.deepEqual(Object.keys(less?.edges[0]?.node ?? {}), ['id', 'owner', 'recipient'])
  })

  it('answers 5: blocks from a height on, page by page, in seconds', async () => {
    const start = (await devnet.mine()).height
    for (let i = 0; i < 4; i++) await devnet.mine()
    const query = `query GetBlocks ($min: Int, $limit: Int, $after: String) {
      blocks (height: { min: $min }, first: $limit, after: $after, sort: HEIGHT_ASC) {
        pageInfo { hasNextPage }
        edges { cursor node { id timestamp height previous } }
      }
    }`
    interface Block {
      [field: string]: unknown
      id: string
      timestamp: number
      height: number
      previous: string
    }
    const pages: Connection<Block>[] = []
    for (let after: string | undefined, more = true; more; ) {
      const { blocks } = await devnet.query<{ blocks: Connection<Block> }>(query, { min: start, limit: 2, after })
      pages.push(blocks)
      more = blocks.pageInfo.hasNextPage
      after = blocks.edges.at(-1)?.cursor
      assert.ok(pages.length < 10, 'the pages end')
    }
    const blocks = pages.flatMap(({ edges }) => edges.map(({ node }) => node))
    assert.deepEqual(
      blocks.map(({ height }) => height),
      [0, 1, 2, 3, 4].map(n => start + n),
    )
    for (const [i, block] of blocks.entries()) {
      if (i > 0) assert.equal(block.previous, blocks[i - 1]?.id)
      assert.ok(Math.abs(block.timestamp - Date.now() / 1000) < 60)
    }
  })

  it('answers 6: all Scheduler-Locations by cursor, each once, while new ones arrive', async () => {
    const query = `query ($cursor: String) {
      transactions(
        tags: [{ name: "Type", values: ["Scheduler-Location"] }, { name: "Data-Protocol", values: ["ao"] }],
        first: 1, after: $cursor
      ) { edges { node { id owner { address } tags { name value } block { id height timestamp } } cursor } pageInfo { hasNextPage } }
    }`
    const first = await devnet.query(query)
    await upload(
      await anItem({ tags: ao(['Type', 'Scheduler-Location'], ['Url', 'http://later']) }, testSigner('other')),
    )
    const second = await devnet.query(query, { cursor: first['transactions']?.edges[0]?.cursor })
    assert.deepEqual(
      [...idsOf(first['transactions']), ...idsOf(second['transactions'])],
      [newLocation.id, oldLocation.id],
    )
    assert.equal(second['transactions']?.pageInfo.hasNextPage, false)
  })

  it('answers 7: checkpoints of a process, and takes an empty list of owners for no filter', async () => {
    const query = `query ($processId: String!, $owners: [String!]!) {
      transactions(
        tags: [
          { name: "Process", values: [$processId] }
          { name: "Type", values: ["Checkpoint"] }
          { name: "Data-Protocol", values: ["ao"] }
        ], owners: $owners, first: 50, sort: HEIGHT_DESC
      ) { edges { node { id owner { address } tags { name value } } } }
    }`
    for (const [owners, expected] of [
      [[], [checkpoint.id]],
      [[su.address], [checkpoint.id]],
      [[user.address], []],
    ]) {
      const { transactions } = await devnet.query(query, { processId: process.id, owners })
      assert.deepEqual(idsOf(transactions), expected)
    }
  })

  it('answers 8: processes by name as aos asks, with an empty owner among the owners', async () => {
    const { transactions } = await devnet.query(
      `query ($owners: [String!]!) {
        transactions(
          first: 10, owners: $owners,
          tags: [
            { name: "Data-Protocol", values: ["ao"] },
            { name: "Type", values: ["Process"] },
            { name: "Name", values: ["mine"] }
          ]
        ) { edges { node { id tags { name value } } } }
      }`,
      { owners: [user.address, ''] },
    )
    assert.deepEqual(idsOf(transactions), [process.id])
    const { transactions: none } = await devnet.query('{ transactions(owners: [""]) { edges { node { id } } } }')
    assert.deepEqual(idsOf(none), [])
  })

  it('answers 9: a whole node, whose block is selected twice', async () => {
    const { jwk, address } = await devnet.wallet()
    const client = new GatewayClient(silentTelemetry, { gatewayUrl: devnet.url, wallet: jwk })
    const tx = await client.prepare(packBundle([process]))
    await client.post(tx)
    await devnet.mine()
    const { transactions } = await devnet.query(
      `query ($ids: [ID!]!) {
        transactions(ids: $ids) { edges { node {
          id anchor signature recipient owner { address key } fee { winston ar } quantity { winston ar }
          data { size type } tags { name value }
          block { id timestamp height previous }
          block { timestamp height }
          parent { id } bundledIn { id }
        } } }
      }`,
      { ids: [tx.id] },
    )
    const node = transactions?.edges[0]?.node ?? {}
    const fields = JSON.parse(Buffer.from(tx.payload).toString()) as Record<string, string>
    assert.deepEqual(node['owner'], { address, key: fields['owner'] })
    assert.deepEqual(node['fee'], { winston: fields['reward'], ar: `0.${fields['reward']?.padStart(12, '0')}` })
    assert.deepEqual(node['quantity'], { winston: '0', ar: '0.000000000000' })
    assert.deepEqual(node['data'], { size: fields['data_size'], type: null })
    assert.deepEqual([node['parent'], node['bundledIn']], [null, null])
    assert.ok((node['block'] as { previous: string }).previous.length === 64)
  })

  it('answers by recipient, excluded tag and height, with aliases for several questions at once', async () => {
    const target = anId('somebody')
    const marks = ['a', 'b', 'c']
    const ids: string[] = []
    let height = 0
    for (const mark of marks) {
      ids.push((await upload(await anItem({ target: target as never, tags: tagsOf(['Mark', mark]) }))).id)
      height = (await devnet.mine()).height
    }
    const answer = await devnet.query(`{
      all: transactions(recipients: ["${target}"], sort: HEIGHT_ASC) { edges { node { id } } }
      notB: transactions(recipients: ["${target}"], tags: [{ name: "Mark", values: ["b"], op: NEQ }]) { edges { node { id } } }
      aOrC: transactions(tags: [{ name: "Mark", values: ["c", "a"] }], sort: INGESTED_AT_ASC) { edges { node { id } } }
      middle: transactions(recipients: ["${target}"], block: { min: ${height - 1}, max: ${height - 1} }) { edges { node { id } } }
      upTo: transactions(recipients: ["${target}"], block: { max: ${height - 1} }) { edges { node { id } } }
      future: transactions(recipients: ["${target}"], block: { min: ${height + 1} }) { edges { node { id } } }
      genesis: transactions(block: { min: 0, max: 0 }) { edges { node { id } } }
    }`)
    const [a, b, c] = ids
    assert.deepEqual(Object.fromEntries(Object.entries(answer).map(([name, page]) => [name, idsOf(page)])), {
      all: [a, b, c],
      notB: [c, a],
      aOrC: [a, c],
      middle: [b],
      upTo: [b, a],
      future: [],
      genesis: [],
    })
  })

  it('finds a rare entry among many by several filters, and pages through the many without loss', async () => {
    const many = await Promise.all(
      Array.from({ length: 250 }, (_, i) =>
        anItem({
          data: utf8(String(i)),
          tags: tagsOf(['Common', 'yes'], ['Parity', String(i % 2)], ['Rare', i === 123 ? 'yes' : 'no']),
        }),
      ),
    )
    const { jwk } = await devnet.wallet()
    const client = new GatewayClient(silentTelemetry, { gatewayUrl: devnet.url, wallet: jwk })
    await client.post(await client.prepare(packBundle(many)))
    const filter = 'tags: [{ name: "Common", values: ["yes"] }, { name: "Parity", values: ["1"] }'
    const rare = await devnet.query(
      `{ transactions(${filter}, { name: "Rare", values: ["yes"] }]) { edges { node { id } } } }`,
    )
    assert.deepEqual(idsOf(rare['transactions']), [many[123]?.id])
    for (const sort of ['HEIGHT_ASC', 'HEIGHT_DESC']) {
      const found: unknown[] = []
      for (let after = '', more = true; more; ) {
        const { transactions } = await devnet.query(
          `{ transactions(${filter}], first: 30, after: "${after}", sort: ${sort}) {
            pageInfo { hasNextPage } edges { cursor node { id } }
          } }`,
        )
        found.push(...idsOf(transactions))
        after = transactions?.edges.at(-1)?.cursor ?? ''
        more = transactions?.pageInfo.hasNextPage ?? false
        assert.ok(found.length <= 125, 'the pages end')
      }
      const expected = many.filter((_, i) => i % 2 === 1).map(({ id }) => id)
      assert.deepEqual(found, sort === 'HEIGHT_ASC' ? expected : expected.reverse(), sort)
    }
  })

  it('gives one block by id and the newest without', async () => {
    const { height, current } = await devnet.mine()
    const answer = await devnet.query<{ newest: object; same: object; none: null }>(
      `{ newest: block { id height } same: block(id: "${current}") { id height } none: block(id: "x") { id } }`,
    )
    assert.deepEqual(answer, { newest: { id: current, height }, same: { id: current, height }, none: null })
  })

  it('refuses queries that are wrong or too large with a coded error', async () => {
    const deep = `{ __schema { types { ${'ofType { '.repeat(30)} name ${'} '.repeat(30)} } } }`
    const wide = `{ ${Array.from({ length: 21 }, (_, i) => `q${i}: transactions { edges { node { id } } }`).join(' ')} }`
    const long = `{ transactions { edges { node { ${'id '.repeat(20_000)} } } } }`
    const wrong = ['', '{', '{ nothing }', deep, wide, long, '{ transactions(first: 0) { edges { cursor } } }']
    wrong.push(
      '{ transactions(after: "x") { edges { cursor } } }',
      '{ transactions(first: 99999999999) { edges { cursor } } }',
    )
    for (const query of wrong) {
      const answer = await devnet.post('/graphql', JSON.stringify({ query }), 'application/json')
      assert.equal(answer.status, 400, query.slice(0, 80))
      const { errors } = (await answer.json()) as { errors: { message: string; extensions: { code: string } }[] }
      assert.equal(errors[0]?.extensions.code, 'INVALID_ARGUMENT', query.slice(0, 80))
    }
  })
})

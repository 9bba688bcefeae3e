import assert from 'node:assert/strict'
import { connect } from '@permaweb/ao-scheduler-utils'
import Arweave from 'arweave'
import { checkFollows, parseAssignment } from '../../src/protocol/assignment.ts'
import type { DataItem } from '../../src/protocol/data-item.ts'
import { eventually } from '../support/eventually.ts'
import { AoUser } from './ao-client.ts'
import { LocalNetwork } from './local-network.ts'

describe('clients that start at the gateway, unchanged', function () {
  this.timeout(60_000)
  let network: LocalNetwork
  let user: AoUser
  let process: string
  before(async () => {
    network = await LocalNetwork.start()
    user = await AoUser.of('0.0.98', { network, door: 'a node with all roles' })
    process = await user.spawn('echo')
  })
  after(() => network?.stop())

  const located = (options: { readonly followRedirects?: boolean } = {}) =>
    connect({ GRAPHQL_URL: `${network.gateway}/graphql`, ...options })

  it('scheduler-utils finds the URL of the SU by its address, and it answers there', async () => {
    const { url } = await located().raw(network.scheduler)
    assert.equal(url, network.schedulerUrl)
    const answer = (await (await fetch(`${url}?process-id=${process}`)).json()) as {
      address: string
      timestamp: string
    }
    assert.equal(answer.address, network.scheduler)
    assert.ok(Math.abs(Number(answer.timestamp) - Date.now()) < 60_000)
  })

  it('scheduler-utils takes the address of the SU for a scheduler, and that of a wallet for none', async () => {
    assert.equal(await located().validate(network.scheduler), true)
    await assert.rejects(located().validate(network.wallet.signer.address), /Could not find 'Scheduler-Location'/)
  })

  it('scheduler-utils locates a Process whose scheduler is named, redirects followed or not', async () => {
    for (const followRedirects of [false, true]) {
      const { url, address } = await located({ followRedirects }).locate(process, network.scheduler)
      assert.equal(address, network.scheduler)
      assert.equal(url, network.schedulerUrl)
    }
  })

  it('a reader of the schedule finds a chain without gaps behind the located URL', async () => {
    for (let i = 0; i < 5; i++) await user.message(process, 'Count')
    const { url } = await located().locate(process, network.scheduler)
    const page = (await (await fetch(`${url}/${process}?process-id=${process}`)).json()) as SchedulePage
    assert.equal(page.page_info.has_next_page, false)
    const assignments = page.edges.map(({ node }) => parseAssignment(itemOf(node.assignment)))
    for (const [i, assignment] of assignments.entries()) {
      checkFollows(assignment.process, assignments[i - 1], assignment)
    }
    assert.equal(assignments.length, 6)
  })

  it('arweave-js reads from the gateway what the SU settled: the Process item and its data', async () => {
    const { hostname: host, port } = new URL(network.gateway)
    const arweave = Arweave.init({ host, port: Number(port), protocol: 'http' })
    const query = `query { transactions(ids: ["${process}"]) { edges { node { id tags { name value } block { height } } } } }`
    const edges = await eventually(
      'the Process in a block',
      async () => {
        const { data } = await arweave.api.post('graphql', { query })
        const [edge] = data.data.transactions.edges
        return edge?.node.block === null ? undefined : edge
      },
      30_000,
    )
    assert.equal(edges.node.id, process)
    const tags = edges.node.tags as readonly { name: string; value: string }[]
    assert.equal(tags.find(({ name }) => name === 'Scheduler')?.value, network.scheduler)
    assert.ok((await fetch(`${network.gateway}/${process}`)).ok)
    assert.ok((await arweave.network.getInfo()).height >= 1_500_000)
  })
})

interface SchedulePage {
  readonly page_info: { readonly has_next_page: boolean }
  readonly edges: readonly { readonly node: { readonly assignment: ShownItem } }[]
}
interface ShownItem {
  readonly id: string
  readonly owner: { readonly address: string }
  readonly tags: readonly { readonly name: string; readonly value: string }[]
}

/** What `parseAssignment` reads of an item, from its JSON. */
const itemOf = ({ id, owner, tags }: ShownItem): DataItem =>
  ({ id, owner: owner.address, tags, raw: new Uint8Array(0) }) as unknown as DataItem

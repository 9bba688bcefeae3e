import type { FastifyInstance } from 'fastify'
import { AoError } from '../lib/errors.ts'
import { parseAddress } from '../protocol/ids.ts'
import type { Chain } from './chain.ts'
import type { Gateway } from './gateway.ts'
import { arResource, parseResource } from './holdings.ts'
import { unknown } from './http-errors.ts'
import type { Block } from './records.ts'
import { priceOf } from './wallets.ts'

/** Blocks mined by one request. */
const maxMined = 1000

/**
 * The chain, wallets and prices as Arweave nodes answer them, and arlocal's `/mine` and `/mint`; `/clock/<milliseconds>`
 * moves its time forward.
 */
export function registerChainRoutes(app: FastifyInstance, gateway: Gateway): void {
  registerBlockRoutes(app, gateway)
  registerWalletRoutes(app, gateway)
  registerHoldingRoutes(app, gateway)
  registerControlRoutes(app, gateway)
}

function registerBlockRoutes(app: FastifyInstance, { chain }: Gateway): void {
  const info = () => networkInfo(chain)
  app.get('/', async () => info())
  app.get('/info', async () => info())
  app.get('/peers', async () => [])
  app.get('/height', async (_request, reply) => reply.type(text).send(String(chain.head.height)))
  app.get('/block/current', async () => blockJson(chain.head))
  app.get<Of<'height'>>('/block/height/:height', async ({ params }) => {
    const block = await chain.blockAt(wholeNumber(params.height, 'height'))
    if (block === undefined) throw unknown('height', params.height)
    return blockJson(block)
  })
  app.get<Of<'hash'>>('/block/hash/:hash', async ({ params }) => {
    const block = await chain.blockWithHash(params.hash)
    if (block === undefined) throw unknown('hash', params.hash)
    return blockJson(block)
  })
}

function registerWalletRoutes(app: FastifyInstance, { chain, catalog }: Gateway): void {
  app.get('/tx_anchor', async (_request, reply) => reply.type(text).send(chain.head.hash))
  for (const url of ['/price/:bytes', '/price/:bytes/:target'])
    app.get<{ Params: { bytes: string } }>(url, async ({ params }, reply) =>
      reply.type(text).send(String(priceOf(wholeNumber(params.bytes, 'bytes')))),
    )
  app.get<Of<'address'>>('/wallet/:address/balance', async ({ params }, reply) => {
    const { balance } = await catalog.wallet(parseAddress(params.address))
    return reply.type(text).send(balance)
  })
  app.get<Of<'address'>>('/wallet/:address/last_tx', async ({ params }, reply) => {
    const { lastTx } = await catalog.wallet(parseAddress(params.address))
    return reply.type(text).send(lastTx)
  })
}

/** As Arweave pages it; `?asset=` asks for a bridged asset, which only this one keeps. */
function registerHoldingRoutes(app: FastifyInstance, { chain, catalog }: Gateway): void {
  for (const url of ['/wallet_list/:root', '/wallet_list/:root/:cursor'])
    app.get<ListRequest>(url, async ({ params: { root, cursor }, query }) => {
      const block = await chain.blockWithHash(root)
      if (block === undefined) throw unknown('root', root)
      const after = cursor === undefined ? '' : parseAddress(cursor)
      const found = await catalog.holdings({ resource: parseResource(query.asset), height: block.height, after })
      const wallets = found.holdings.map(({ address, balance }) => ({ address, balance, last_tx: '' }))
      return { ...(found.next === undefined ? {} : { next_cursor: found.next }), wallets }
    })
}
interface ListRequest {
  Params: { root: string; cursor?: string }
  Querystring: { asset?: string }
}

function registerControlRoutes(app: FastifyInstance, { chain, clock, intake }: Gateway): void {
  const mine = async (count: number) => {
    if (count < 1 || count > maxMined) throw outOfRange('count', count, maxMined)
    for (let i = 0; i < count; i++) await intake.mine()
    return networkInfo(chain)
  }
  app.route({ method: ['GET', 'POST'], url: '/mine', exposeHeadRoute: false, handler: () => mine(1) })
  app.route<Of<'count'>>({
    method: ['GET', 'POST'],
    url: '/mine/:count',
    exposeHeadRoute: false,
    handler: ({ params }) => mine(wholeNumber(params.count, 'count')),
  })
  app.route<Of<'timestamp'>>({
    method: ['GET', 'POST'],
    url: '/clock/:timestamp',
    exposeHeadRoute: false,
    handler: async ({ params }) => {
      await clock.moveTo(wholeNumber(params.timestamp, 'timestamp'))
      await intake.mine()
      return networkInfo(chain)
    },
  })
  app.get<Of<'address' | 'winston'> & Pick<ListRequest, 'Querystring'>>(
    '/mint/:address/:winston',
    { exposeHeadRoute: false },
    async ({ params, query }, reply) => {
      const address = parseAddress(params.address)
      const quantity = winston(params.winston)
      const resource = parseResource(query.asset)
      const given =
        resource === arResource ? intake.mint(address, quantity) : intake.deposit(resource, address, quantity)
      return reply.type(text).send(String(await given))
    },
  )
}

const text = 'text/plain; charset=utf-8'
type Of<Names extends string> = { Params: Record<Names, string> }

function wholeNumber(value: string, what: string): number {
  if (/^(0|[1-9][0-9]{0,14})$/.test(value)) return Number(value)
  throw new AoError('INVALID_ARGUMENT', `${what} is not a whole number`, { [what]: value.slice(0, 32) })
}

function winston(value: string): bigint {
  if (/^[1-9][0-9]{0,24}$/.test(value)) return BigInt(value)
  const hint = 'Give a whole number of winston; 1 AR is 1000000000000.'
  throw new AoError('INVALID_ARGUMENT', 'winston is not a whole number', { winston: value.slice(0, 32) }, { hint })
}

const outOfRange = (what: string, value: number, limit: number): AoError =>
  new AoError('INVALID_ARGUMENT', `${what} must be from 1 to ${limit}`, { [what]: value })

const networkInfo = ({ network, head }: Chain) => ({
  network,
  version: 5,
  release: 80,
  height: head.height,
  current: head.hash,
  blocks: head.height + 1,
  peers: 0,
  queue_length: 0,
  node_state_latency: 0,
})

const blockJson = (block: Block) => ({
  indep_hash: block.hash,
  hash: block.hash,
  previous_block: block.previous,
  height: block.height,
  timestamp: block.timestamp,
  txs: block.txs,
  weave_size: String(block.weaveSize),
  tx_root: '',
  // Names the list of the wallets as of this block.
  wallet_list: block.hash,
  reward_addr: 'unclaimed',
  reward_pool: '0',
  tags: [],
})

import type { FastifyInstance, FastifyReply } from 'fastify'
import { toBase64Url } from '../lib/bytes.ts'
import { AoError } from '../lib/errors.ts'
import { isId } from '../protocol/ids.ts'
import type { Catalog } from './catalog.ts'
import { chunkAt } from './chunk-proofs.ts'
import type { Gateway } from './gateway.ts'
import { unknown } from './http-errors.ts'
import type { Entry } from './records.ts'
import { contentType, tagHeaders } from './tag-headers.ts'
import { transactionJson } from './transaction.ts'

/** Transactions, items and their data, as Arweave nodes and gateways answer them; everything from its arrival on. */
export function registerDataRoutes(app: FastifyInstance, gateway: Gateway): void {
  registerTransactionRoutes(app, gateway)
  registerContentRoutes(app, gateway)
}

function registerTransactionRoutes(app: FastifyInstance, { chain, catalog }: Gateway): void {
  app.get('/tx/pending', () => chain.pendingTransactions())
  app.get<Id>('/tx/:id', async ({ params }) => transactionJson(await entryOf(catalog, params.id)))
  app.get<Id>('/tx/:id/status', async ({ params }, reply) => {
    const block = await chain.blockOf((await entryOf(catalog, params.id)).seq)
    if (block === undefined) return reply.code(202).type(text).send('Pending')
    return {
      block_height: block.height,
      block_indep_hash: block.hash,
      number_of_confirmations: chain.confirmations(block),
    }
  })
  app.get<Id>('/tx/:id/offset', async ({ params }) => {
    const { weaveEnd, dataSize } = await entryOf(catalog, params.id)
    if (weaveEnd === undefined) throw unknown('offset', params.id)
    return { offset: String(weaveEnd), size: String(dataSize) }
  })
  app.get<{ Params: { id: string; field: string } }>('/tx/:id/:field', async ({ params }, reply) => {
    const entry = await entryOf(catalog, params.id)
    if (params.field === 'data') return reply.type(text).send(toBase64Url(await dataOf(catalog, entry.id)))
    const fields: Record<string, unknown> = transactionJson(entry)
    if (!Object.hasOwn(fields, params.field)) throw unknown('field', params.field)
    const value = fields[params.field]
    return typeof value === 'string' ? reply.type(text).send(value) : value
  })
}

function registerContentRoutes(app: FastifyInstance, { catalog }: Gateway): void {
  const sendData = async (reply: FastifyReply, { id, tags }: Entry): Promise<FastifyReply> =>
    reply.type(contentType(tags) ?? binary).send(await dataOf(catalog, id))

  app.get<{ Params: { offset: string } }>('/chunk/:offset', async ({ params }) => {
    const offset = /^[1-9][0-9]{0,14}$/.test(params.offset) ? Number(params.offset) : 0
    if (offset === 0) throw new AoError('INVALID_ARGUMENT', 'invalid_offset', { offset: params.offset.slice(0, 32) })
    const entry = await catalog.atOffset(offset)
    if (entry?.weaveEnd === undefined) throw unknown('offset', params.offset)
    return chunkAt(await dataOf(catalog, entry.id), offset - (entry.weaveEnd - entry.dataSize) - 1)
  })
  app.get<Id>('/raw/:id', async ({ params }, reply) => sendData(reply, await entryOf(catalog, params.id)))
  app.get<Id>('/:id', async ({ params }, reply) => {
    const entry = await entryOf(catalog, params.id)
    return sendData(reply.headers(tagHeaders(entry.tags)), entry)
  })
}

async function entryOf(catalog: Catalog, id: string): Promise<Entry> {
  if (!isId(id)) throw badId(id)
  const entry = await catalog.entry(id)
  if (entry === undefined) throw unknown('id', id)
  return entry
}

async function dataOf(catalog: Catalog, id: string): Promise<Uint8Array> {
  const data = await catalog.data(id)
  if (data === undefined) throw unknown('data', id)
  return data
}

const text = 'text/plain; charset=utf-8'
const binary = 'application/octet-stream'
type Id = { Params: { id: string } }

const badId = (id: string): AoError =>
  new AoError(
    'INVALID_ARGUMENT',
    'Invalid hash.',
    { id: id.slice(0, 64) },
    { hint: 'An id is 43 base64url characters.' },
  )

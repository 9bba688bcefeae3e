import type { FastifyInstance } from 'fastify'
import { AoError } from '../lib/errors.ts'
import type { Gateway } from './gateway.ts'

/** A chunk of 256 KiB in base64url with its proof. */
const chunkLimit = 512 * 1024
/** Blocks that a bundler promises to settle within; it is the next one here, and clients only show it. */
const deadlineBlocks = 1

/** Doors for what comes in: transactions, chunks and, as a bundler takes them, signed items. */
export function registerUploadRoutes(app: FastifyInstance, { clock, chain, intake }: Gateway): void {
  const takeItem = async (body: unknown) => {
    if (!Buffer.isBuffer(body)) throw noItem()
    const item = await intake.item(body)
    return {
      id: item.id,
      timestamp: clock.now(),
      owner: item.owner,
      deadlineHeight: chain.head.height + deadlineBlocks,
      dataCaches: [],
      fastFinalityIndexes: [],
      winc: '0',
      version: '1.0.0',
    }
  }
  app.post('/tx', async ({ body }, reply) => {
    if (Buffer.isBuffer(body)) return takeItem(body)
    const outcome = await intake.transaction(body)
    if (outcome === 'known') return reply.code(208).type(text).send('Transaction already processed.')
    return reply.type(text).send('OK')
  })
  for (const url of ['/tx/arweave', '/v1/tx/arweave', '/v1/tx']) app.post(url, ({ body }) => takeItem(body))
  app.post('/chunk', { bodyLimit: chunkLimit }, async ({ body }, reply) => {
    await intake.chunk(body)
    return reply.type(text).send('OK')
  })
}

const text = 'text/plain; charset=utf-8'

const noItem = (): AoError =>
  new AoError(
    'INVALID_DATA_ITEM',
    'the body is not a data item',
    {},
    { hint: 'Send the raw bytes of one signed ANS-104 item, with Content-Type: application/octet-stream.' },
  )

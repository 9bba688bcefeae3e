import type { FastifyRequest } from 'fastify'
import { AoError } from '../lib/errors.ts'
import type { AssignRequest } from '../ports/units.ts'
import { type MessageId, type ProcessId, parseId } from '../protocol/ids.ts'
import { idSchema, text } from './openapi.ts'
import { param } from './request.ts'

/**
 * `process-id` and `assign` ask for an item that is on Arweave already to be ordered in a Process; undefined without
 * either.
 *
 * @throws AoError `INVALID_ARGUMENT` if only one is there or one is no id.
 */
export function assignQuery(request: FastifyRequest): AssignRequest | undefined {
  const [process, assign] = [param(request, 'process-id'), param(request, 'assign')]
  if (process === undefined && assign === undefined) return undefined
  if (process === undefined || assign === undefined) {
    throw new AoError(
      'INVALID_ARGUMENT',
      'You must set both process-id and assign to send an assignment, not just one',
      { given: process === undefined ? 'assign' : 'process-id' },
      { hint: 'Send ?process-id=…&assign=… without a body, or a signed item without either.' },
    )
  }
  const exclude = (param(request, 'exclude') ?? '').split(',').map(field => field.trim())
  return {
    process: parseId<ProcessId>(process, 'process-id'),
    item: parseId<MessageId>(assign, 'assign'),
    baseLayer: param(request, 'base-layer') !== undefined,
    exclude: exclude.filter(field => field !== ''),
  }
}

export const assignDocs = {
  'process-id': { description: 'With assign: the Process to order an existing item in.', schema: idSchema },
  assign: { description: 'With process-id: the item, which is on Arweave.', schema: idSchema },
  'base-layer': { description: 'It is a transaction of Arweave itself: deep enough in the chain.', schema: text },
  exclude: { description: 'Fields that the Process is not to see, separated by commas.', schema: text },
} as const

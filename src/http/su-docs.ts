import { assignDocs } from './assign-query.ts'
import { idSchema, itemSchema, object, type RouteDoc, type Schema, tagsSchema, text, whole } from './openapi.ts'

const owner = object({ address: text, key: text })
const orNull = (type: string): Schema => ({ type: [type, 'null'] })
const message = object({
  id: idSchema,
  owner,
  tags: tagsSchema,
  signature: text,
  data: orNull('string'),
  anchor: orNull('string'),
  target: orNull('string'),
})
const assignment = object({
  id: idSchema,
  owner,
  tags: tagsSchema,
  signature: text,
  anchor: orNull('string'),
  target: text,
})
const node = object({ message: { oneOf: [message, { type: 'null' }] }, assignment })
const page = object({
  page_info: object({ has_next_page: { type: 'boolean' } }),
  edges: { type: 'array', items: object({ node, cursor: text }) },
})
const process = object({
  process_id: idSchema,
  block: text,
  timestamp: whole,
  data: orNull('string'),
  owner,
  tags: tagsSchema,
  signature: text,
  anchor: orNull('string'),
  target: orNull('string'),
})
const processParam = { description: 'The Process.', schema: idSchema }

/** What the API's description says of the routes of the SU. */
export const suDocs = {
  about: {
    summary: 'Who schedules: the SU of the Process named, else of this node.',
    tag: 'SU',
    query: { 'process-id': processParam },
    answers: { 200: { description: 'Its time and address', schema: object({ timestamp: text, address: text }) } },
  },
  health: {
    summary: 'Whether the program runs.',
    tag: 'SU',
    answers: { 200: { description: 'OK', type: 'text/plain', schema: text } },
  },
  timestamp: {
    summary: 'The time and the height of Arweave.',
    tag: 'SU',
    query: { 'process-id': processParam },
    answers: {
      200: {
        description: 'Milliseconds since the Unix epoch, and 12 digits',
        schema: object({ timestamp: text, block_height: text }),
      },
    },
  },
  schedule: {
    summary: 'Orders a signed Message or Process. Nothing it sets off is pushed: that is for an MU.',
    tag: 'SU',
    query: assignDocs,
    body: { description: 'A signed ANS-104 data item', type: 'application/octet-stream', schema: itemSchema },
    answers: { 200: { description: 'It is ordered', schema: object({ id: idSchema, timestamp: whole }) } },
  },
  process: {
    summary: 'A Process.',
    tag: 'SU',
    answers: { 200: { description: 'Its item and where it was ordered', schema: process } },
  },
  latest: {
    summary: 'The newest message of a Process.',
    tag: 'SU',
    query: { 'process-id': processParam, 'show-anchor': { description: 'Anchors as base64url.', schema: text } },
    answers: { 200: { description: 'Message and Assignment', schema: node } },
  },
  read: {
    summary:
      'A page of the schedule if the id is that of the Process; else one message, by its id or its Assignment’s.',
    tag: 'SU',
    query: {
      'process-id': processParam,
      from: { description: 'After this time, in milliseconds: the cursor of the page before.', schema: whole },
      to: { description: 'Up to this time.', schema: whole },
      'from-nonce': {
        description: 'After this nonce; -1 for the beginning.',
        schema: { type: 'integer', minimum: -1 },
      },
      'to-nonce': { description: 'Up to this nonce.', schema: whole },
      limit: {
        description: 'Rows of a page, 100 unless told, 1000 at the most.',
        schema: { type: 'integer', minimum: 1 },
      },
      'show-anchor': { description: 'Anchors as base64url.', schema: text },
    },
    answers: { 200: { description: 'A page, or a message with its Assignment', schema: { oneOf: [page, node] } } },
  },
} as const satisfies Record<string, RouteDoc>

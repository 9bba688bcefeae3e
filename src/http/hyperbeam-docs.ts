import { idSchema, itemSchema, object, type RouteDoc, text, whole } from './openapi.ts'

const item = { description: 'A signed ANS-104 data item', type: 'application/ans104', schema: itemSchema }
const answered = {
  process: idSchema,
  slot: whole,
  raw: { type: 'object', description: 'Messages, Spawns, Assignments, Output, Error, GasUsed' },
  results: { type: 'object', description: 'The same as text, at json.body' },
} as const

/** What the API's description says of the paths that aoconnect calls in its mode `mainnet`. */
export const hyperbeamDocs = {
  address: {
    summary: 'The unit to name as Scheduler and Authority.',
    tag: 'HyperBEAM',
    answers: { 200: { description: 'Its address', type: 'text/plain', schema: text } },
  },
  spawn: {
    summary: 'Takes a signed Process or Message; the headers process and slot say where it is ordered.',
    tag: 'HyperBEAM',
    body: item,
    answers: {
      200: { description: 'It is ordered', schema: object({ process: idSchema, slot: whole, id: idSchema }) },
    },
  },
  push: {
    summary: 'Takes a signed Message, has it ordered and pushes what it sets off.',
    tag: 'HyperBEAM',
    body: item,
    answers: {
      200: {
        description: 'It is ordered; with what it gave if that is known within two seconds',
        schema: object({ ...answered, id: idSchema }, ['raw', 'results']),
      },
    },
  },
  slot: {
    summary: 'The newest slot (nonce) of a Process.',
    tag: 'HyperBEAM',
    answers: { 200: { description: 'A number', type: 'text/plain', schema: text } },
  },
  results: {
    summary: 'What a slot gave: results=<slot> or results=<message id>. Waits until it is evaluated.',
    tag: 'HyperBEAM',
    path: { results: { type: 'string', pattern: '^results=([0-9]{1,16}|[A-Za-z0-9_-]{43})$' } },
    answers: { 200: { description: 'Its outbox and output', schema: object(answered) } },
  },
  dryRun: {
    summary: 'Evaluates on the newest state and keeps nothing: …/as=execution/compute&Tag=Value.',
    tag: 'HyperBEAM',
    path: { rest: { type: 'string', pattern: '^compute(&[^&=]+=[^&]*)*$' } },
    answers: { 200: { description: 'Its outbox and output', schema: object(answered, ['slot']) } },
  },
} as const satisfies Record<string, RouteDoc>

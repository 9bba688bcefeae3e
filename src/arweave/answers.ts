import { z } from 'zod'
import { AoError } from '../lib/errors.ts'
import type { Answer } from './http.ts'

/** JSON of a known shape. @throws AoError `PEER_UNREACHABLE` if it is anything else: then this is no Arweave gateway. */
export function parsed<T>(schema: z.ZodType<T>, answer: Answer, url: string): T {
  try {
    return schema.parse(JSON.parse(answer.text()))
  } catch (cause) {
    throw notAGateway(url, answer, cause)
  }
}

/** A whole number as text, which nodes answer for prices and balances. @throws AoError `PEER_UNREACHABLE` */
export function wholeNumber(answer: Answer, url: string): bigint {
  const text = answer.text(64).trim()
  if (answer.status !== 200 || !/^[0-9]{1,30}$/.test(text)) throw notAGateway(url, answer)
  return BigInt(text)
}

export const notAGateway = (url: string, answer: Answer, cause?: unknown): AoError =>
  new AoError(
    'PEER_UNREACHABLE',
    'the answer is not that of an Arweave gateway',
    { url, status: answer.status, answer: answer.text(200) },
    { cause, hint: 'Check that the gateway URL is that of an Arweave gateway.' },
  )

const height = z.number().int().nonnegative()
const hash = z.string().regex(/^[A-Za-z0-9_-]{43,128}$/)

export const infoAnswer = z.object({ height, current: hash })
/** Timestamp in seconds. `wallet_list` names the balances as of the block. */
export const blockAnswer = z.object({
  height,
  indep_hash: hash,
  timestamp: z.number().int().nonnegative(),
  wallet_list: z.string().max(128).optional(),
})
export const walletsAnswer = z.object({
  next_cursor: z.string().max(128).optional(),
  wallets: z.array(z.object({ address: z.string().max(128), balance: z.string().regex(/^[0-9]{1,30}$/) })).max(10_000),
})
export const statusAnswer = z.object({ block_height: height, number_of_confirmations: height })

const text = z.string()
const node = z.object({
  id: text,
  signature: text,
  recipient: text.nullish(),
  anchor: text.nullish(),
  owner: z.object({ key: text }),
  data: z.object({ size: z.coerce.string() }),
  tags: z.array(z.object({ name: text, value: text })),
})
export type ItemMeta = z.infer<typeof node>
export const metaAnswer = z.object({
  data: z.object({ transactions: z.object({ edges: z.array(z.object({ node })) }) }),
})

/** What `metaAnswer` answers to. */
export const metaQuery = `query ($ids: [ID!]!) {
  transactions(ids: $ids, first: 1) {
    edges { node { id signature recipient anchor owner { key } data { size } tags { name value } } }
  }
}`

export const bundlesAnswer = z.object({
  data: z.object({
    transactions: z.object({
      pageInfo: z.object({ hasNextPage: z.boolean() }),
      edges: z.array(z.object({ cursor: text, node: z.object({ bundledIn: z.object({ id: hash }).nullish() }) })),
    }),
  }),
})

/** What `bundlesAnswer` answers to. */
export const bundlesQuery = `query ($tags: [TagFilter!], $recipients: [String!], $after: String) {
  transactions(tags: $tags, recipients: $recipients, first: 1000, after: $after, sort: HEIGHT_ASC) {
    pageInfo { hasNextPage }
    edges { cursor node { bundledIn { id } } }
  }
}`

export const signedByAnswer = z.object({
  data: z.object({
    transactions: z.object({
      edges: z.array(z.object({ node: z.object({ id: hash, tags: z.array(z.object({ name: text, value: text })) }) })),
    }),
  }),
})

/** What `signedByAnswer` answers to. */
export const signedByQuery = `query ($owner: String!, $tags: [TagFilter!]!, $first: Int!) {
  transactions(owners: [$owner], tags: $tags, first: $first, sort: HEIGHT_DESC) {
    edges { node { id tags { name value } } }
  }
}`

export const bundleOfAnswer = z.object({
  data: z.object({
    transactions: z.object({
      edges: z.array(z.object({ node: z.object({ bundledIn: z.object({ id: hash }).nullish() }) })),
    }),
  }),
})

/** What `bundleOfAnswer` answers to. */
export const bundleOfQuery = `query ($ids: [ID!]!) {
  transactions(ids: $ids, first: 1) { edges { node { bundledIn { id } } } }
}`

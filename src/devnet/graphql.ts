import type { FastifyInstance } from 'fastify'
import { type DocumentNode, GraphQLError, Kind, type ValidationRule } from 'graphql'
import mercurius, { type MercuriusOptions } from 'mercurius'
import { AoError } from '../lib/errors.ts'
import { tagValue } from '../protocol/tags.ts'
import type { Gateway } from './gateway.ts'
import {
  blockPage,
  blockSearch,
  edgesOf,
  type PageArguments,
  type TransactionArguments,
  transactionSearch,
} from './graphql-arguments.ts'
import { graphqlSchema } from './graphql-schema.ts'
import { errorAnswer } from './http-errors.ts'
import type { Block, Entry } from './records.ts'

/** Clients nest to 5; schema browsers ask 14 deep. */
const maxDepth = 16
const maxTokens = 10_000
/** Look-ups in one document, aliases counted. */
const maxLookups = 20
const maxFields = 1000
const bodyLimit = 1024 * 1024

/** `/graphql` as on an Arweave gateway. Queries are bounded in depth, size and number of look-ups. */
export async function registerGraphql(app: FastifyInstance, gateway: Gateway): Promise<void> {
  await app.register(mercurius, {
    schema: graphqlSchema,
    resolvers: resolversOver(gateway) as NonNullable<MercuriusOptions['resolvers']>,
    graphql: { parseOptions: { maxTokens } },
    queryDepth: maxDepth,
    validationRules: [boundedWork],
    additionalRouteOptions: { bodyLimit },
    errorFormatter: ({ errors = [], data }) => {
      const answers = errors.flatMap(flattened).map(answerOf)
      const status = data ? 200 : Math.max(200, ...answers.map(({ status }) => status))
      return { statusCode: status, response: { data: data ?? null, errors: answers.map(({ error }) => error) } }
    },
  })
}

function resolversOver({ chain, catalog }: Gateway) {
  return {
    Query: {
      transaction: (_: unknown, { id }: { id: string }) => catalog.entry(id),
      transactions: async (_: unknown, args: TransactionArguments) => {
        const { entries, hasNext } = await catalog.search(transactionSearch(args))
        const place = (entry: Entry): number => entry.seq ?? Number.MAX_SAFE_INTEGER
        return edgesOf(entries, hasNext, place)
      },
      block: (_: unknown, { id }: { id?: string | null }) => (id ? chain.blockWithHash(id) : chain.head),
      blocks: (_: unknown, args: PageArguments & Parameters<typeof blockSearch>[0]) =>
        blockPage(chain, blockSearch(args, chain.head.height)),
    },
    Transaction: {
      recipient: ({ target }: Entry) => target,
      owner: ({ owner, ownerKey }: Entry) => ({ address: owner, key: ownerKey }),
      fee: ({ reward }: Entry) => amount(reward),
      quantity: ({ quantity }: Entry) => amount(quantity),
      data: ({ dataSize, tags }: Entry) => ({ size: String(dataSize), type: tagValue(tags, 'Content-Type') ?? null }),
      block: ({ seq }: Entry) => chain.blockOf(seq),
      parent: bundleOf,
      bundledIn: bundleOf,
    },
    Block: { id: ({ hash }: Block) => hash },
  }
}

const bundleOf = ({ bundledIn }: Entry) => (bundledIn === undefined ? null : { id: bundledIn })

/** 1 AR is 10^12 winston. */
const amount = (winston: string) => {
  const digits = winston.padStart(13, '0')
  return { winston, ar: `${digits.slice(0, -12)}.${digits.slice(-12)}` }
}

/** Refuses documents that would make the devnet work much for little text. */
const boundedWork: ValidationRule = context => {
  let fields = 0
  let lookups = 0
  return {
    Field: () => {
      fields++
      if (context.getParentType()?.name === 'Query') lookups++
    },
    [Kind.DOCUMENT]: {
      leave: (document: DocumentNode) => {
        if (fields <= maxFields && lookups <= maxLookups) return
        const message = `the query asks for too much: at most ${maxLookups} look-ups and ${maxFields} fields`
        context.reportError(new GraphQLError(message, { nodes: document.definitions.slice(0, 1) }))
      },
    },
  }
}

/** Mercurius wraps validation failures into one error. */
const flattened = (error: GraphQLError): readonly GraphQLError[] => {
  const inner = error.originalError
  const wrapped = inner !== undefined && inner !== null && 'errors' in inner ? inner.errors : undefined
  return Array.isArray(wrapped) ? wrapped : [error]
}

function answerOf(error: GraphQLError): { status: number; error: GraphQLError } {
  const { originalError: cause, message, nodes, path } = error
  // Without a cause the engine itself refused the query's text or variables.
  const refusal = new AoError('INVALID_ARGUMENT', message, {}, { hint: 'Check the query against the schema.' })
  const { status, body } = errorAnswer(cause === undefined || cause === null ? refusal : cause)
  const { error: text, ...extensions } = body
  return { status, error: new GraphQLError(text, { nodes: nodes ?? null, path: path ?? null, extensions }) }
}

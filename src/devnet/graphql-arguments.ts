import { AoError } from '../lib/errors.ts'
import type { Search } from './catalog.ts'
import type { Chain } from './chain.ts'
import type { Block } from './records.ts'

type Sort = 'HEIGHT_ASC' | 'HEIGHT_DESC' | 'INGESTED_AT_ASC' | 'INGESTED_AT_DESC'
type Maybe<T> = T | null | undefined
type Heights = Maybe<{ min?: Maybe<number>; max?: Maybe<number> }>

export interface PageArguments {
  readonly first?: Maybe<number>
  readonly after?: Maybe<string>
  readonly sort?: Maybe<Sort>
}

/** Arguments of `transactions` as the engine hands them over; any of them may be null. */
export interface TransactionArguments extends PageArguments {
  readonly ids?: Maybe<readonly string[]>
  readonly owners?: Maybe<readonly string[]>
  readonly recipients?: Maybe<readonly string[]>
  readonly bundledIn?: Maybe<readonly string[]>
  readonly tags?: Maybe<readonly { name: string; values: readonly string[]; op?: Maybe<'EQ' | 'NEQ'> }[]>
  readonly block?: Heights
}

/** More is cut to this, as gateways do; `hasNextPage` then tells. */
const maxPage = 1000
/** Values in one filter, and tag filters in one query. */
const maxValues = 1000
const maxTagFilters = 32

/** @throws AoError `INVALID_ARGUMENT` */
export function transactionSearch(args: TransactionArguments): Search {
  const { limit, after, descending } = pageOf(args)
  const tags = args.tags ?? []
  if (tags.length > maxTagFilters) throw tooMany('tags', maxTagFilters)
  return {
    ids: listOf(args.ids, 'ids'),
    owners: listOf(args.owners, 'owners'),
    recipients: listOf(args.recipients, 'recipients'),
    bundledIn: listOf(args.bundledIn, 'bundledIn'),
    tags: tags.map(({ name, values, op }) => ({ name, values: listOf(values, 'values'), op: op ?? 'EQ' })),
    minHeight: args.block?.min ?? undefined,
    maxHeight: args.block?.max ?? undefined,
    limit,
    after,
    descending,
  }
}

export interface BlockSearch {
  readonly ids: readonly string[]
  /** Heights, inclusive. */
  readonly from: number
  readonly to: number
  readonly descending: boolean
  readonly limit: number
}

/** @throws AoError `INVALID_ARGUMENT` */
export function blockSearch(
  args: PageArguments & { ids?: Maybe<readonly string[]>; height?: Heights },
  headHeight: number,
): BlockSearch {
  const { limit, after, descending } = pageOf(args)
  const min = Math.max(0, args.height?.min ?? 0)
  const max = Math.min(headHeight, args.height?.max ?? headHeight)
  return {
    ids: listOf(args.ids, 'ids'),
    from: after === undefined || descending ? min : Math.max(min, after + 1),
    to: after === undefined || !descending ? max : Math.min(max, after - 1),
    descending,
    limit,
  }
}

export async function blockPage(chain: Chain, search: BlockSearch) {
  const found = search.ids.length > 0 ? await blocksWithIds(chain, search) : await chain.blocks(more(search))
  return edgesOf(found.slice(0, search.limit), found.length > search.limit, block => block.height)
}

/** A connection whose cursors are places in the order of arrival, which never change. */
export const edgesOf = <T>(nodes: readonly T[], hasNextPage: boolean, place: (node: T) => number) => ({
  pageInfo: { hasNextPage },
  edges: nodes.map(node => ({ node, cursor: cursorOf(place(node)) })),
})

const more = (search: BlockSearch): BlockSearch => ({ ...search, limit: search.limit + 1 })

async function blocksWithIds(chain: Chain, { ids, from, to, descending }: BlockSearch): Promise<readonly Block[]> {
  const found = await Promise.all([...new Set(ids)].map(id => chain.blockWithHash(id)))
  return found
    .filter(block => block !== undefined)
    .filter(({ height }) => height >= from && height <= to)
    .sort((a, b) => (descending ? b.height - a.height : a.height - b.height))
}

function pageOf({ first, after, sort }: PageArguments): {
  limit: number
  after: number | undefined
  descending: boolean
} {
  const limit = first ?? 10
  if (limit < 1) throw new AoError('INVALID_ARGUMENT', 'first must be 1 or more', { first: limit })
  return {
    limit: Math.min(limit, maxPage),
    after: after === undefined || after === null || after === '' ? undefined : placeIn(after),
    descending: sort === undefined || sort === null || sort.endsWith('DESC'),
  }
}

function listOf(values: Maybe<readonly string[]>, what: string): readonly string[] {
  if (values === undefined || values === null) return []
  if (values.length > maxValues) throw tooMany(what, maxValues)
  return values
}

/** Clients only hand a cursor back; the letter tells ours from anything else. */
const cursorOf = (place: number): string => Buffer.from(`p${place}`).toString('base64url')

function placeIn(cursor: string): number {
  const place = /^p(0|[1-9][0-9]{0,15})$/.exec(Buffer.from(cursor, 'base64url').toString('latin1'))?.[1]
  if (place !== undefined && cursorOf(Number(place)) === cursor) return Number(place)
  const hint = 'Give the cursor of an edge of the page before, as it was.'
  throw new AoError(
    'INVALID_ARGUMENT',
    'after is not a cursor of this gateway',
    { after: cursor.slice(0, 64) },
    { hint },
  )
}

const tooMany = (what: string, limit: number): AoError =>
  new AoError('INVALID_ARGUMENT', `too many ${what}`, { limit }, { hint: 'Ask in several queries.' })

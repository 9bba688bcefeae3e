import type { AbortOptions } from '../lib/abort.ts'
import { AoError } from '../lib/errors.ts'
import type { Json } from '../lib/json.ts'
import type { Telemetry } from '../lib/telemetry.ts'
import type {
  ArweaveClient,
  BundleIndex,
  Holdings,
  HoldingsIndex,
  ItemGlimpse,
  LayerOneTx,
  PreparedTx,
  TxStatus,
} from '../ports/settlement.ts'
import type { ItemIndex } from '../ports/trace.ts'
import type { BlockAnchor } from '../protocol/assignment.ts'
import type { DataItem } from '../protocol/data-item.ts'
import { type Address, type Id, parseId } from '../protocol/ids.ts'
import type { PrivateJwk } from '../protocol/keys.ts'
import { rebuildItem } from '../protocol/rebuild-item.ts'
import type { Tag } from '../protocol/tags.ts'
import {
  blockAnswer,
  bundleOfAnswer,
  bundleOfQuery,
  bundlesAnswer,
  bundlesQuery,
  infoAnswer,
  metaAnswer,
  metaQuery,
  notAGateway,
  parsed,
  signedByAnswer,
  signedByQuery,
  statusAnswer,
  walletsAnswer,
  wholeNumber,
} from './answers.ts'
import { GatewayHttp } from './http.ts'
import { type TxFields, txAnswer, verifyTx, verifyTxData } from './layer-one.ts'
import { Payer } from './payer.ts'
import { postTransaction } from './post-transaction.ts'

export interface GatewayOptions {
  readonly gatewayUrl: string
  /** `{gatewayUrl}/graphql` unless given. */
  readonly graphqlUrl?: string | undefined
  /** Base of the bundler's `/tx/arweave`; the gateway itself unless given. */
  readonly uploaderUrl?: string | undefined
  /** Pays for `prepare`; RSA JWK. */
  readonly wallet?: PrivateJwk | undefined
}

/** Largest data read from a gateway. */
const maxDataBytes = 128 * 1024 * 1024
/** Blocks of nodes list a thousand transactions, and two chunks of 256 KiB as proof of access. */
const maxBlockBytes = 4 * 1024 * 1024
/** Pages of holders, 2,500 each on Arweave. */
const maxHolderPages = 100
/** For exchanges that carry data. */
const dataTimeoutMs = 120_000

/** ArweaveClient over the routes of Arweave nodes and gateways, ours or anybody's. */
export class GatewayClient implements ArweaveClient, ItemIndex, BundleIndex, HoldingsIndex {
  readonly #http: GatewayHttp
  readonly #gateway: string
  readonly #graphql: string
  readonly #uploader: string
  readonly #payer: Payer | undefined
  #head: BlockAnchor | undefined

  /** @throws AoError `INVALID_CONFIG` for a URL that is none, or a wallet that cannot pay. */
  constructor(deps: Telemetry, options: GatewayOptions) {
    this.#http = new GatewayHttp(deps)
    this.#gateway = baseUrl(options.gatewayUrl, 'gatewayUrl')
    this.#graphql = baseUrl(options.graphqlUrl ?? `${this.#gateway}/graphql`, 'graphqlUrl')
    this.#uploader = baseUrl(options.uploaderUrl ?? this.#gateway, 'uploaderUrl')
    this.#payer = options.wallet === undefined ? undefined : new Payer(options.wallet)
  }

  /** @throws AoError `INVALID_CONFIG` without a wallet, `SETTLEMENT_FAILED` if it cannot pay, `PEER_UNREACHABLE` */
  async prepare(bundle: Uint8Array, options: AbortOptions = {}): Promise<PreparedTx> {
    const payer = this.#payer
    if (payer === undefined) throw noWallet()
    const priceUrl = `${this.#gateway}/price/${bundle.length}`
    const balanceUrl = `${this.#gateway}/wallet/${payer.address}/balance`
    const price = wholeNumber(await this.#http.ask(priceUrl, options), priceUrl)
    const balance = wholeNumber(await this.#http.ask(balanceUrl, options), balanceUrl)
    if (balance < price) throw this.#tooPoor(payer.address, balance, price)
    const anchorUrl = `${this.#gateway}/tx_anchor`
    const answer = await this.#http.ask(anchorUrl, options)
    const anchor = answer.text(200).trim()
    if (answer.status !== 200 || !/^[A-Za-z0-9_-]{43,64}$/.test(anchor)) throw notAGateway(anchorUrl, answer)
    return payer.sign(bundle, { anchor, reward: String(price) })
  }

  /** @throws AoError `SETTLEMENT_FAILED` | `PEER_UNREACHABLE` */
  async post(tx: PreparedTx, options: AbortOptions = {}): Promise<void> {
    const known = async (): Promise<boolean> => (await this.status(tx.id, options)) !== 'absent'
    await postTransaction(this.#http, this.#gateway, tx, known, options)
  }

  async status(id: Id, options: AbortOptions = {}): Promise<TxStatus> {
    const url = `${this.#gateway}/tx/${id}/status`
    const answer = await this.#http.ask(url, options)
    if (answer.status === 202) return 'pending'
    // 410: it was refused, or lost on a fork.
    if (answer.status === 404 || answer.status === 410) return 'absent'
    // Some nodes say so with status 200.
    if (answer.text(16).trim() === 'Pending') return 'pending'
    const { block_height: blockHeight, number_of_confirmations: confirmations } = parsed(statusAnswer, answer, url)
    return { blockHeight, confirmations }
  }

  async data(id: Id, { signal }: AbortOptions = {}): Promise<Uint8Array | undefined> {
    const url = `${this.#gateway}/raw/${id}`
    const answer = await this.#http.ask(url, { signal, maxBytes: maxDataBytes, timeoutMs: dataTimeoutMs })
    if (answer.status === 404) return undefined
    if (answer.status !== 200) throw notAGateway(url, answer)
    return answer.bytes
  }

  /** @throws AoError `INVALID_DATA_ITEM` if what the gateway gives is not the signed item of that id. */
  async item(id: Id, options: AbortOptions = {}): Promise<DataItem | undefined> {
    const body = JSON.stringify({ query: metaQuery, variables: { ids: [id] } })
    const answer = await this.#http.ask(this.#graphql, { ...options, body })
    const meta = parsed(metaAnswer, answer, this.#graphql).data.transactions.edges[0]?.node
    if (meta === undefined) return undefined
    // Gateways have no data to give for an item without any.
    const data = meta.data.size === '0' ? new Uint8Array(0) : await this.data(id, options)
    return data === undefined ? undefined : rebuildItem(id, meta, data)
  }

  async transaction(id: Id, options: AbortOptions = {}): Promise<LayerOneTx | undefined> {
    const fields = await this.#txFields(id, options)
    return fields && verifyTx(id, fields)
  }

  async transactionData(id: Id, options: AbortOptions = {}): Promise<Uint8Array | undefined> {
    const fields = await this.#txFields(id, options)
    if (fields === undefined) return undefined
    await verifyTx(id, fields)
    const data = fields.data_size === '0' ? new Uint8Array(0) : await this.data(id, options)
    return data && verifyTxData(id, fields, data)
  }

  async signedBy(
    owner: Address,
    tags: readonly Tag[],
    { limit, ...options }: AbortOptions & { readonly limit: number },
  ): Promise<readonly ItemGlimpse[]> {
    const filters = tags.map(({ name, value }) => ({ name, values: [value] }))
    const body = JSON.stringify({ query: signedByQuery, variables: { owner, tags: filters, first: limit } })
    const answer = await this.#http.ask(this.#graphql, { ...options, body })
    const { edges } = parsed(signedByAnswer, answer, this.#graphql).data.transactions
    return edges.map(({ node }) => ({ id: parseId(node.id), tags: node.tags }))
  }

  /** The bundle that carries an item; undefined if the gateway knows of none. */
  async bundleOf(item: Id, options: AbortOptions = {}): Promise<Id | undefined> {
    const body = JSON.stringify({ query: bundleOfQuery, variables: { ids: [item] } })
    const answer = await this.#http.ask(this.#graphql, { ...options, body })
    const bundle = parsed(bundleOfAnswer, answer, this.#graphql).data.transactions.edges[0]?.node.bundledIn
    return bundle ? parseId(bundle.id, 'bundle') : undefined
  }

  /** Transactions whose bundles hold items with all these tags, each once, oldest first. */
  async bundlesWith(tags: readonly Tag[], options: AbortOptions = {}): Promise<readonly Id[]> {
    return this.#bundles({ tags: tags.map(({ name, value }) => ({ name, values: [value] })) }, options)
  }

  async bundlesTo(target: Id, options: AbortOptions = {}): Promise<readonly Id[]> {
    return this.#bundles({ recipients: [target] }, options)
  }

  async #bundles(search: { readonly [name: string]: Json }, options: AbortOptions): Promise<readonly Id[]> {
    const found = new Set<Id>()
    let after: string | undefined
    for (;;) {
      const body = JSON.stringify({ query: bundlesQuery, variables: { ...search, after } })
      const answer = await this.#http.ask(this.#graphql, { ...options, body })
      const { edges, pageInfo } = parsed(bundlesAnswer, answer, this.#graphql).data.transactions
      for (const { node } of edges) if (node.bundledIn) found.add(parseId(node.bundledIn.id, 'bundle'))
      after = edges.at(-1)?.cursor
      if (!pageInfo.hasNextPage || after === undefined) return [...found]
    }
  }

  /** @throws AoError `SETTLEMENT_FAILED` if the uploader refuses it, `PEER_UNREACHABLE` */
  async upload(item: DataItem, { signal }: AbortOptions = {}): Promise<void> {
    const url = `${this.#uploader}/tx/arweave`
    const type = 'application/octet-stream'
    const answer = await this.#http.ask(url, { body: item.raw, type, signal, timeoutMs: dataTimeoutMs })
    if (answer.status < 400) return
    throw new AoError(
      'SETTLEMENT_FAILED',
      'the uploader refused the item',
      { id: item.id, url, status: answer.status, answer: answer.text(200) },
      { hint: 'The answer says why; free uploaders take small items only.' },
    )
  }

  async block(height: number, options: AbortOptions = {}): Promise<BlockAnchor | undefined> {
    const block = await this.#block(height, options)
    return block && { height, hash: block.indep_hash, timestamp: block.timestamp * 1000 }
  }

  /**
   * As the node lists them by the block's `wallet_list`; bridged assets only where it keeps some (`?asset=`).
   *
   * @throws AoError `TOO_LARGE` if there are more holders than one node may read.
   */
  async holdings(resource: string, height: number, options: AbortOptions = {}): Promise<Holdings | undefined> {
    const root = (await this.#block(height, options))?.wallet_list
    if (root === undefined || root === '') return undefined
    const asset = resource === 'AR' ? '' : `?asset=${encodeURIComponent(resource)}`
    const held = new Map<string, bigint>()
    let cursor: string | undefined = ''
    for (let page = 0; cursor !== undefined; page++) {
      if (page === maxHolderPages) throw new AoError('TOO_LARGE', 'there are too many holders to read', { resource })
      const listUrl: string = `${this.#gateway}/wallet_list/${root}${cursor === '' ? '' : `/${cursor}`}${asset}`
      const listed = await this.#http.ask(listUrl, { ...options, maxBytes: maxBlockBytes })
      if (listed.status === 404) return undefined
      const list = parsed(walletsAnswer, listed, listUrl)
      for (const { address, balance } of list.wallets) held.set(address, BigInt(balance))
      cursor = list.next_cursor
    }
    return held
  }

  async head(options: AbortOptions = {}): Promise<BlockAnchor> {
    const infoUrl = `${this.#gateway}/info`
    const { height, current: hash } = parsed(infoAnswer, await this.#http.ask(infoUrl, options), infoUrl)
    if (this.#head?.hash === hash) return this.#head
    const blockUrl = `${this.#gateway}/block/hash/${hash}`
    const answer = await this.#http.ask(blockUrl, { ...options, maxBytes: maxBlockBytes })
    const block = parsed(blockAnswer, answer, blockUrl)
    this.#head = { height, hash, timestamp: block.timestamp * 1000 }
    return this.#head
  }

  async #block(height: number, options: AbortOptions): Promise<ReturnType<typeof blockAnswer.parse> | undefined> {
    const url = `${this.#gateway}/block/height/${height}`
    const answer = await this.#http.ask(url, { ...options, maxBytes: maxBlockBytes })
    return answer.status === 404 ? undefined : parsed(blockAnswer, answer, url)
  }

  async #txFields(id: Id, options: AbortOptions): Promise<TxFields | undefined> {
    const url = `${this.#gateway}/tx/${id}`
    const answer = await this.#http.ask(url, { ...options, maxBytes: maxBlockBytes })
    if (answer.status === 404 || answer.status === 410 || answer.status === 202) return undefined
    return parsed(txAnswer, answer, url)
  }

  #tooPoor(address: string, balance: bigint, price: bigint): AoError {
    return new AoError(
      'SETTLEMENT_FAILED',
      'the wallet cannot pay for the transaction',
      { address, balance: String(balance), price: String(price) },
      { hint: `Send AR to the address; on a devnet: GET ${this.#gateway}/mint/${address}/{winston}.` },
    )
  }
}

function baseUrl(text: string, option: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return text.replace(/\/+$/, '')
  const hint = 'Give a whole URL, such as https://arweave.net.'
  throw new AoError('INVALID_CONFIG', `${option} is not an http URL`, { [option]: text.slice(0, 200) }, { hint })
}

const noWallet = (): AoError =>
  new AoError(
    'INVALID_CONFIG',
    'there is no wallet to pay Arweave with',
    {},
    { hint: 'Configure an Arweave wallet (RSA JWK) as the payer of settlement.' },
  )

import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { AbortOptions } from '../lib/abort.ts'
import { toUtf8 } from '../lib/bytes.ts'
import { AoError, hasCode } from '../lib/errors.ts'
import type { Json } from '../lib/json.ts'
import type { Compute, DryRunMessage, Messenger, Scheduler } from '../ports/units.ts'
import { verifyDataItem } from '../protocol/data-item.ts'
import { type Address, type MessageId, type Nonce, type ProcessId, parseId, parseNonce } from '../protocol/ids.ts'
import { resultToJson } from '../protocol/result.ts'
import type { Tag } from '../protocol/tags.ts'
import { hyperbeamDocs as docs } from './hyperbeam-docs.ts'
import type { ItemLimit } from './mu-routes.ts'
import { bodyOf, whileWaiting } from './request.ts'
import type { Routes } from './server.ts'

export interface HyperbeamDeps {
  readonly messenger: Messenger
  /** For any Process of the network. */
  readonly scheduler: Scheduler
  readonly compute: Compute
  /** The address that a client is to name as scheduler and authority of what it spawns. */
  readonly address: () => Address
}

/**
 * The handful of HyperBEAM paths that aoconnect calls in its mode `mainnet`, over the units of this network. Requests
 * are signed ANS-104 items; HTTP signatures (RFC 9421) are another protocol and not spoken here.
 *
 * Source: @permaweb/aoconnect 0.0.98 `src/client/ao-core.js`; compat.md section F.
 */
export const hyperbeamRoutes =
  (deps: HyperbeamDeps, limits: ItemLimit): Routes =>
  server => {
    server.get('/~meta@1.0/info/address', { config: { doc: docs.address } }, (_request, reply) =>
      reply.type('text/plain').send(deps.address()),
    )
    registerPush(server, deps, limits)
    registerReads(server, deps, limits)
  }

function registerPush(server: FastifyInstance, deps: HyperbeamDeps, { maxItemBytes }: ItemLimit): void {
  const bodyLimit = maxItemBytes + 1

  server.post('/push', { config: { doc: docs.spawn }, bodyLimit }, async (request, reply) => {
    const assignment = await deps.messenger.submit(bodyOf(request), whileWaiting(reply, submitMs))
    const { process, nonce: slot, message: id } = assignment
    return reply.header('process', process).header('slot', slot).send({ process, slot, id })
  })

  server.post('/:process/push', { config: { doc: docs.push }, bodyLimit }, async (request, reply) => {
    const process = processOf(request)
    const item = await verifyDataItem(bodyOf(request), { maxBytes: maxItemBytes })
    if (item.target !== process) {
      throw new AoError('INVALID_ARGUMENT', 'the path names another Process than the target of the item', {
        process,
        target: item.target,
      })
    }
    const { nonce: slot, message: id } = await deps.messenger.submit(item.raw, whileWaiting(reply, submitMs))
    const answer = await soon(deps.compute, process, slot, whileWaiting(reply, evaluatedSoonMs))
    return reply.header('slot', slot).send({ process, slot, id, ...answer })
  })
}

function registerReads(
  server: FastifyInstance,
  { scheduler, compute }: HyperbeamDeps,
  { maxItemBytes }: ItemLimit,
): void {
  const bodyLimit = maxItemBytes + 1
  // aoconnect posts a signed item even where it only reads; other clients get.
  for (const method of ['GET', 'POST'] as const) {
    server.route({
      ...{ method, url: '/:process/slot/current', config: { doc: docs.slot }, bodyLimit },
      handler: async (request, reply) => {
        const { nonce } = await scheduler.assignment(processOf(request), 'newest', whileWaiting(reply, lookupMs))
        return reply.type('text/plain').send(String(nonce))
      },
    })
    server.route({
      ...{ method, url: '/:process/compute/:results', config: { doc: docs.results }, bodyLimit },
      handler: async (request, reply) => {
        const [process, at] = [processOf(request), slotOf(request)]
        const { result } = await compute.result(process, at, whileWaiting(reply, evaluateMs))
        return { process, slot: result.nonce, ...shown(resultToJson(result)) }
      },
    })
    server.route({
      ...{ method, url: '/:process/as=execution/*', config: { doc: docs.dryRun }, bodyLimit },
      handler: async (request, reply) => {
        const process = processOf(request)
        const message = await dryRunOf(request, maxItemBytes)
        const evaluation = await compute.dryRun(process, message, whileWaiting(reply, evaluateMs))
        return { process, ...shown(resultToJson(evaluation)) }
      },
    })
  }
}

const submitMs = 60_000
const lookupMs = 30_000
/** A long schedule may have to be replayed first. */
const evaluateMs = 120_000
/** A push is answered with what it gave if that is known so soon, else with its slot alone. */
const evaluatedSoonMs = 2_000

async function soon(
  compute: Compute,
  process: ProcessId,
  slot: Nonce,
  options: AbortOptions,
): Promise<{ readonly [key: string]: Json }> {
  try {
    return shown(resultToJson((await compute.result(process, slot, options)).result))
  } catch (error) {
    // The message is ordered whatever becomes of its evaluation: that is asked for at compute/results=<slot>.
    if (hasCode(error, 'INTERNAL')) throw error
    return {}
  }
}

/** Where HyperBEAM has it, twice: aoconnect reads `raw`, older clients the text. */
const shown = (result: { readonly [key: string]: Json }): { readonly [key: string]: Json } => ({
  raw: result,
  results: { json: { body: JSON.stringify(result) } },
})

/** `<id>` or `<id>~process@1.0`. @throws AoError `INVALID_ARGUMENT` */
function processOf({ params }: FastifyRequest): ProcessId {
  const { process } = params as { readonly process: string }
  return parseId<ProcessId>(process.replace(/~process@1\.0$/, ''), 'process')
}

/** `results=<slot>` or `results=<message id>`. @throws AoError `INVALID_ARGUMENT` */
function slotOf({ params }: FastifyRequest): Nonce | MessageId {
  const [name, at = ''] = (params as { readonly results: string }).results.split('=', 2)
  if (name !== 'results') {
    throw new AoError(
      'INVALID_ARGUMENT',
      'only results can be computed',
      { asked: name?.slice(0, 64) },
      { hint: 'Ask for compute/results=<slot>.' },
    )
  }
  return /^[0-9]{1,16}$/.test(at) ? parseNonce(at, 'slot') : parseId<MessageId>(at, 'slot')
}

/** Tags stand in the path, data and sender in the item; without an item nobody in particular asks. */
async function dryRunOf(request: FastifyRequest, maxBytes: number): Promise<DryRunMessage> {
  const tags = tagsOfPath(request.url)
  const bytes = bodyOf(request)
  if (bytes.length === 0) return { owner: anybody, tags, data: '' }
  const item = await verifyDataItem(bytes, { maxBytes })
  return { owner: item.owner, id: item.id, tags, data: toUtf8(item.data) }
}

/** What aoconnect's other mode writes where its caller names no owner. */
const anybody = '1234'

/** `…/as=execution/compute&Action=Info&X=1`. Values are taken as they come: slashes and question marks included. */
function tagsOfPath(url: string): Tag[] {
  const [, path = ''] = url.split(/\/as=execution\/compute/, 2)
  return path
    .split('&')
    .filter(part => part.includes('='))
    .map(part => {
      const at = part.indexOf('=')
      return { name: decoded(part.slice(0, at)), value: decoded(part.slice(at + 1)) }
    })
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new AoError('INVALID_ARGUMENT', 'a tag in the path is not well encoded', { tag: text.slice(0, 64) })
  }
}

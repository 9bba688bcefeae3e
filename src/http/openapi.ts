import type { FastifyInstance, RouteOptions } from 'fastify'
import type { Json } from '../lib/json.ts'

/** A JSON Schema, as OpenAPI 3.1 has it. */
export type Schema = { readonly [key: string]: Json }

/** What the API's description says of a route; it stands beside the route as `config: { doc }`. */
export interface RouteDoc {
  readonly summary: string
  readonly tag: 'MU' | 'SU' | 'CU' | 'HyperBEAM' | 'gRPC-Web' | 'Node'
  readonly query?: Readonly<
    Record<string, { readonly description: string; readonly schema: Schema; readonly required?: boolean }>
  >
  /** Parts of the path that are no ids. */
  readonly path?: Readonly<Record<string, Schema>>
  readonly body?: Content
  /** By status. Failures are described once for all routes. */
  readonly answers: Readonly<Record<number, Content>>
}
export interface Content {
  readonly description: string
  /** `application/json` unless told. */
  readonly type?: string
  readonly schema: Schema
}

declare module 'fastify' {
  interface FastifyContextConfig {
    readonly doc?: RouteDoc
  }
}

export const idSchema: Schema = { type: 'string', pattern: '^[A-Za-z0-9_-]{43}$' }
/** Signed ANS-104 bytes. */
export const itemSchema: Schema = { type: 'string', format: 'binary' }
export const text: Schema = { type: 'string' }
export const whole: Schema = { type: 'integer', minimum: 0 }
export const tagsSchema: Schema = {
  type: 'array',
  items: { type: 'object', required: ['name', 'value'], properties: { name: text, value: text } },
}
export const object = (properties: Readonly<Record<string, Schema>>, optional: readonly string[] = []): Schema => ({
  type: 'object',
  properties,
  required: Object.keys(properties).filter(name => !optional.includes(name)),
})

/** Collects every route that is registered after it, and serves their description at `/openapi.json`. */
export function serveOpenApi(server: FastifyInstance, { version }: { readonly version: string }): void {
  const paths: Record<string, Record<string, Json>> = {}
  server.addHook('onRoute', ({ method, url, config }: RouteOptions) => {
    const doc = config?.doc
    if (doc === undefined) return
    const path = url
      .replace(/(?<=.)\/$/, '')
      .replace(/:([A-Za-z]+)/g, '{$1}')
      .replace('*', '{rest}')
    const operations = paths[path] ?? {}
    paths[path] = operations
    for (const name of [method].flat().filter(name => name !== 'HEAD'))
      operations[name.toLowerCase()] = operation(path, doc)
  })
  server.get('/openapi.json', { config: { doc: own } }, () => ({
    openapi: '3.1.0',
    info: { title: 'aonet node', version, description: about },
    paths,
    components: { schemas: { Error: errorSchema } },
  }))
}

function operation(path: string, { summary, tag, query = {}, path: parts = {}, body, answers }: RouteDoc): Json {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => ({
    ...{ name, in: 'path', required: true, schema: parts[name] ?? idSchema },
  }))
  const inQuery = Object.entries(query).map(([name, { description, schema, required = false }]) => ({
    ...{ name, in: 'query', description, required, schema },
  }))
  const responses = Object.entries(answers).map(([status, answer]) => [status, content(answer)])
  return {
    summary,
    tags: [tag],
    parameters: [...inPath, ...inQuery],
    ...(body === undefined ? {} : { requestBody: { required: true, ...(content(body) as object) } }),
    responses: { ...Object.fromEntries(responses), default: failure },
  }
}

const content = ({ description, type = 'application/json', schema }: Content): Json => ({
  description,
  content: { [type]: { schema } },
})

const errorSchema: Schema = object({ error: text, code: text, facts: { type: 'object' }, hint: text }, ['hint'])
const failure = {
  description: 'What went wrong, with a code that does not change. 429 and 503 carry Retry-After.',
  content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
}
const own: RouteDoc = {
  summary: 'This description.',
  tag: 'Node',
  answers: { 200: { description: 'OpenAPI 3.1', schema: { type: 'object' } } },
}
const about =
  'The HTTP faces of the AO units: point MU_URL at /mu, CU_URL at /cu. Every node answers all of them; what it does not do itself it passes on.'

import assert from 'node:assert/strict'
import { opsRoutes } from '../../../src/http/ops-routes.ts'
import { HttpBench } from './http-bench.ts'

interface Operation {
  readonly summary: string
  readonly tags: readonly string[]
  readonly parameters: readonly { readonly name: string; readonly in: string; readonly schema: object }[]
  readonly requestBody?: { readonly content: object }
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content: object }>>
}
interface OpenApi {
  readonly openapi: string
  readonly info: { readonly version: string }
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

describe('http: the description of the API', () => {
  let bench: HttpBench
  const routes: string[] = []
  before(async () => {
    const ops = opsRoutes({ notReady: () => undefined, status: async () => ({}), metricsText: async () => '' })
    bench = await HttpBench.start({
      more: [
        server =>
          void server.addHook('onReady', async () => void routes.push(server.printRoutes({ commonPrefix: false }))),
        ops,
      ],
    })
  })
  after(() => bench.stop())

  it('names every route of the server, each with its parameters and answers', async () => {
    const { openapi, info, paths } = await bench.json<OpenApi>('/openapi.json')
    assert.deepEqual([openapi, info.version], ['3.1.0', '1.2.3'])
    const described = Object.entries(paths).flatMap(([path, operations]) =>
      Object.keys(operations).map(method => `${method.toUpperCase()} ${path}`),
    )
    assert.deepEqual(described.sort(), [
      'DELETE /mu/monitor/{id}',
      'GET /cu',
      'GET /cu/cron/{id}',
      'GET /cu/result/{id}',
      'GET /cu/results/{id}',
      'GET /cu/state/{id}',
      'GET /cu/stream/{id}',
      'GET /health',
      'GET /metrics',
      'GET /mu',
      'GET /openapi.json',
      'GET /ready',
      'GET /status',
      'GET /su',
      'GET /su/health',
      'GET /su/processes/{id}',
      'GET /su/stream/{id}',
      'GET /su/timestamp',
      'GET /su/{id}',
      'GET /su/{id}/latest',
      'GET /{process}/as=execution/{rest}',
      'GET /{process}/compute/{results}',
      'GET /{process}/slot/current',
      'GET /~meta@1.0/info/address',
      'POST /cu/dry-run',
      'POST /mu',
      'POST /mu/monitor/{id}',
      'POST /mu/push/{id}/{part}',
      'POST /push',
      'POST /su',
      'POST /{process}/as=execution/{rest}',
      'POST /{process}/compute/{results}',
      'POST /{process}/push',
      'POST /{process}/slot/current',
    ])
    // Methods in the server's own list, HEAD apart, are as many as are described.
    const methods = [...(routes[0] ?? '').matchAll(/\(([A-Z, ]+)\)/g)].flatMap(([, list = '']) => list.split(', '))
    const pages = 3 // the page that shows the description, the way to it from /, and its script
    assert.equal(methods.filter(method => method !== 'HEAD').length, described.length + pages)
  })

  it('describes parameters of the path, of the query, bodies and failures', async () => {
    const { paths } = await bench.json<OpenApi>('/openapi.json')
    const read = paths['/su/{id}']?.['get']
    assert.deepEqual(
      read?.parameters.map(({ name, in: where }) => `${where} ${name}`),
      [
        'path id',
        ...['process-id', 'from', 'to', 'from-nonce', 'to-nonce', 'limit', 'show-anchor'].map(name => `query ${name}`),
      ],
    )
    assert.ok(paths['/mu']?.['post']?.requestBody?.content)
    for (const operations of Object.values(paths)) {
      for (const { summary, responses } of Object.values(operations)) {
        assert.match(summary, /\.$/)
        assert.ok(responses['default']?.content)
      }
    }
  })

  it('is shown as a page that needs nothing from elsewhere', async () => {
    const page = await bench.get('/')
    assert.match(page.headers.get('content-type') ?? '', /^text\/html/)
    const html = await page.text()
    assert.doesNotMatch(html, /https?:/)
    const [, src = ''] = /<script src="([^"]+)">/.exec(html) ?? []
    const script = await (await bench.get(src)).text()
    assert.doesNotThrow(() => new Function(script))
    assert.doesNotMatch(script, /innerHTML|https?:/)
  })
})

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { fileURLToPath } from 'node:url'
import type { ProcessId } from '../../../src/protocol/ids.ts'
import { Browser, hasBrowser, type Page } from '../../support/browser.ts'
import { aMessage } from '../../support/builders.ts'
import { eventually } from '../../support/eventually.ts'
import { HttpBench } from './http-bench.ts'

describe('a node seen from a browser', function () {
  this.timeout(60_000)
  let bench: HttpBench
  let browser: Browser
  before(async function () {
    if (!hasBrowser) this.skip()
    bench = await HttpBench.start()
    browser = Browser.open()
  })
  after(async () => {
    await browser?.close()
    await bench?.stop()
  })

  it('shows every route of its API, and sends what is filled in', async () => {
    const page = await browser.page(`${bench.url}/docs`)
    const { paths } = await bench.json<{ paths: Record<string, object> }>('/openapi.json')
    const routes = Object.values(paths).flatMap(operations => Object.keys(operations)).length
    const shown = (): Promise<unknown> => page.run("return document.querySelectorAll('#routes details').length")
    await eventually('all routes', async () => (await shown()) === routes)
    await page.run(`
      const one = [...document.querySelectorAll('details')].find(one => one.querySelector('summary code').textContent === '/su/{id}')
      one.querySelector('input').value = '${'A'.repeat(43)}'
      one.querySelector('form button').click()
    `)
    const answer = (): Promise<unknown> =>
      page.run("return document.querySelector('details pre:not([hidden])').textContent")
    const text = await eventually('an answer', async () => {
      const found = String(await answer())
      return found.includes('"code"') ? found : undefined
    })
    assert.match(text, /^GET \/su\/A{43}\n404 [\s\S]*UNKNOWN_PROCESS/)
  })

  describe('of another origin', () => {
    let elsewhere: Server
    let page: Page
    let process: string
    before(async () => {
      const library = fileURLToPath(
        new URL('../../../../node_modules/@permaweb/aoconnect/dist/browser.js', import.meta.url),
      )
      elsewhere = createServer(({ url }, response) => {
        const [type, body] = url === '/' ? ['html', '<title>app</title>'] : ['javascript', readFileSync(library)]
        response.setHeader('content-type', `text/${type}`).end(body)
      })
      await once(elsewhere.listen(0, '127.0.0.1'), 'listening')
      page = await browser.page(`http://127.0.0.1:${(elsewhere.address() as { port: number }).port}`)
      process = (await bench.net.spawn(bench.node, 'parrot')).id
    })

    after(() => elsewhere?.close())

    it('takes a signed item, though the browser asks first whether it may send it', async () => {
      const item = await aMessage(process as ProcessId, { data: 'from a page' })
      const answer = await page.run(`
        const answer = await fetch('${bench.url}/mu', {
          method: 'POST',
          headers: { 'content-type': 'application/octet-stream', accept: 'application/json' },
          body: new Uint8Array(${JSON.stringify([...item.raw])}),
        })
        return { status: answer.status, ...(await answer.json()) }
      `)
      assert.deepEqual([(answer as { status: number }).status, (answer as { id: string }).id], [202, item.id])
    })

    it('serves aoconnect there', async () => {
      const answer = await page.run(`
        const { connect } = await import('/aoconnect.js')
        const ao = connect({ MODE: 'legacy', MU_URL: '${bench.url}/mu', CU_URL: '${bench.url}/cu' })
        const { Output } = await ao.dryrun({ process: '${process}', data: 'only looking' })
        const { edges } = await ao.results({ process: '${process}', limit: 5 })
        return { Output, results: edges.length }
      `)
      assert.deepEqual(answer, { Output: 'only looking', results: 2 })
    })

    it('pushes results as events', async () => {
      const answer = await page.run(`
        const events = new EventSource('${bench.url}/cu/stream/${process}?from=0')
        try {
          return await new Promise((resolve, reject) => {
            events.onmessage = ({ data }) => resolve(JSON.parse(data))
            events.onerror = () => reject(new Error('broke off'))
          })
        } finally { events.close() }
      `)
      assert.ok(answer)
    })
  })
})

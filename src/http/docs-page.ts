import type { FastifyInstance } from 'fastify'

/** Serves `/docs`: the routes of `/openapi.json`, each with a form that sends a request and shows the answer. */
export function serveDocsPage(server: FastifyInstance): void {
  server.get('/', (_request, reply) => reply.redirect('/docs'))
  server.get('/docs', (_request, reply) =>
    reply
      .type('text/html; charset=utf-8')
      .header('content-security-policy', "default-src 'self'; style-src 'unsafe-inline'; script-src 'self'")
      .send(html),
  )
  server.get('/docs/page.js', (_request, reply) => reply.type('text/javascript; charset=utf-8').send(script))
}

const html = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>aonet node: HTTP API</title>
<style>
  :root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); --dim: color-mix(in srgb, currentColor 60%, transparent) }
  body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
  h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
  p.about { color: var(--dim); margin: .25rem 0 0 }
  details { border: 1px solid var(--line); border-radius: .5rem; margin: .4rem 0; padding: .5rem .8rem }
  summary { cursor: pointer; display: flex; gap: .8rem; align-items: baseline; flex-wrap: wrap }
  summary code { min-width: 12rem }
  code, pre, input, textarea { font: 13px/1.5 ui-monospace, monospace }
  .method { font-weight: 700; min-width: 4.2rem } .GET { color: #0a7 } .POST { color: #27d } .DELETE { color: #c33 } .note { color: var(--dim); flex: 1 1 18rem }
  label { display: grid; grid-template-columns: 9rem 1fr; gap: .6rem; align-items: center; margin: .4rem 0 }
  input, textarea { padding: .35rem .5rem; border: 1px solid var(--line); border-radius: .35rem; background: transparent; color: inherit; width: 100%; box-sizing: border-box }
  button { padding: .4rem 1rem; border-radius: .35rem; border: 1px solid var(--line); cursor: pointer; margin: .4rem 0 }
  pre { border-top: 1px solid var(--line); padding-top: .6rem; white-space: pre-wrap; overflow-wrap: anywhere; max-height: 30rem; overflow: auto }
</style>
<h1>HTTP API of this node</h1>
<p class="about" id="about">Loading …</p>
<main id="routes"></main>
<script src="/docs/page.js"></script>
</html>
`

const script = `'use strict'
const make = (name, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(name), properties)
  element.append(...children)
  return element
}

/** A form field for one parameter; its value is read when the request is sent. */
const field = ({ name, description = '', required, schema = {} }, where) => {
  const input = make('input', { name, required: Boolean(required), placeholder: description || schema.pattern || '' })
  return { name, where, input, row: make('label', { title: description }, name + (required ? ' *' : ''), input) }
}

const bodyField = requestBody => {
  const [[type, { schema }]] = Object.entries(requestBody.content)
  const isJson = type === 'application/json'
  const value = JSON.stringify((schema.examples || [{}])[0], null, 2)
  const input = isJson ? make('textarea', { rows: 10, value }) : make('input', { type: 'file' })
  const read = async () => (isJson ? input.value : input.files[0] && (await input.files[0].arrayBuffer()))
  return { type, read, row: make('label', { title: requestBody.description }, 'body', input) }
}

/** A stream of events goes on for ever: what comes is shown as it comes, the newest part of it. */
const showEvents = async (answer, print) => {
  let text = ''
  const decoder = new TextDecoder()
  for (const reader = answer.body.getReader(); ; ) {
    const { done, value } = await reader.read()
    if (done) return
    text = (text + decoder.decode(value, { stream: true })).slice(-200000)
    print(text)
  }
}

const show = async answer => {
  const bytes = new Uint8Array(await answer.arrayBuffer())
  const type = answer.headers.get('content-type') || ''
  if (!/json|text/.test(type)) return bytes.length + ' bytes of ' + (type || 'nothing')
  const text = new TextDecoder().decode(bytes.subarray(0, 200000))
  if (!type.includes('json')) return text
  try { return JSON.stringify(JSON.parse(text), null, 2) } catch { return text }
}

const send = async ({ path, method, fields, body, signal }, print) => {
  const query = new URLSearchParams()
  for (const { name, where, input } of fields) {
    if (where === 'path') path = path.replace('{' + name + '}', input.value)
    else if (input.value !== '') query.set(name, input.value)
  }
  const url = path + (query.size > 0 ? '?' + query : '')
  const content = body && { body: await body.read(), headers: { 'content-type': body.type } }
  const answer = await fetch(url, { method, signal, ...content })
  const head = method + ' ' + url + '\\n' + answer.status + ' ' + answer.statusText + '\\n\\n'
  print(head)
  if (/event-stream/.test(answer.headers.get('content-type'))) await showEvents(answer, text => print(head + text))
  else print(head + (await show(answer)))
}

const route = (path, method, { summary, parameters = [], requestBody }) => {
  const fields = parameters.map(parameter => field(parameter, parameter.in))
  const body = requestBody && bodyField(requestBody)
  const output = make('pre', { hidden: true })
  const form = make('form', {}, ...fields.map(({ row }) => row), ...(body ? [body.row] : []), make('button', {}, 'Send'))
  let last = new AbortController()
  form.addEventListener('submit', async event => {
    event.preventDefault()
    last.abort()
    const { signal } = (last = new AbortController())
    const print = text => { if (!signal.aborted) output.textContent = text }
    output.hidden = false
    print('…')
    try { await send({ path, method: method.toUpperCase(), fields, body, signal }, print) }
    catch (error) { print(String(error)) }
  })
  const head = [make('span', { className: 'method ' + method.toUpperCase() }, method.toUpperCase()), make('code', {}, path)]
  return make('details', {}, make('summary', {}, ...head, make('span', { className: 'note' }, summary)), form, output)
}

const start = async () => {
  const api = await (await fetch('/openapi.json')).json()
  document.getElementById('about').textContent = api.info.description + ' Version ' + api.info.version + '.'
  const groups = new Map(['MU', 'SU', 'CU', 'HyperBEAM', 'Node'].map(name => [name, []]))
  for (const [path, operations] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const name = operation.tags[0]
      if (!groups.has(name)) groups.set(name, [])
      groups.get(name).push(route(path, method, operation))
    }
  }
  for (const [name, routes] of groups) document.getElementById('routes').append(make('h2', {}, name), ...routes)
}
start().catch(error => { document.getElementById('about').textContent = String(error) })
`

import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Client, connect, generateKey, type Nonce, type ProcessId, type Tag } from '../../../src/client/index.ts'
import { type Door, LocalNetwork } from '../../compat/local-network.ts'
import { runCli } from '../../support/run-cli.ts'

const whole: Door = 'a node with all roles'
const forwarder: Door = 'a node that only forwards'

describe('aonet/client', function () {
  this.timeout(60_000)
  let network: LocalNetwork
  before(async () => {
    network = await LocalNetwork.start()
  })
  after(() => network?.stop())

  const ways = {
    'gRPC to a node with all roles': () => network.grpc,
    'HTTP to a node with all roles': () => network.node(whole).httpUrl,
    'HTTP to a node that only forwards': () => network.node(forwarder).httpUrl,
  }
  for (const [way, endpoint] of Object.entries(ways)) {
    describe(`over ${way}`, () => {
      let client: Client
      let process: ProcessId
      before(async () => {
        client = await connect(endpoint(), { wallet: generateKey('ed25519') })
        process = (await client.spawn({ module: network.modules.echo })).process
      })
      after(() => client?.close())

      it('sends a message and awaits its result', async () => {
        const { assignment, result } = await client.call(process, action('Count'))
        assert.equal(assignment.nonce, 1)
        assert.equal(result.output, 'count 2')
      })

      it('awaits the messages that a message sets off', async () => {
        const other = (await client.spawn({ module: network.modules.echo })).process
        const { children } = await client.call(process, action('Send-Ping', ['Recipient', other]))
        assert.deepEqual(
          children.map(child => [child.process, child.state]),
          [
            [other, 'done'],
            [process, 'done'],
          ],
        )
      })

      it('reads the schedule with every link checked, and follows it', async () => {
        const seen: number[] = []
        const stop = new AbortController()
        const expected = (await client.assignment(process, 'newest')).nonce + 1
        await assert.rejects(async () => {
          for await (const { assignment } of client.schedule(process, { follow: true }, stop)) {
            if (seen.push(assignment.nonce) === expected) await client.send(process, action('Count'))
            if (seen.length === expected + 1) stop.abort()
          }
        })
        assert.deepEqual(seen, [...seen.keys()])
        assert.equal(seen.length, expected + 1)
      })

      it('reads the schedule from a nonce on, checked from there', async () => {
        const rows: number[] = []
        for await (const { assignment } of client.schedule(process, { from: 1 as Nonce, to: 2 as Nonce })) {
          rows.push(assignment.nonce)
        }
        assert.deepEqual(rows, [1, 2])
      })

      it('pages through results', async () => {
        const { rows, hasNext } = await client.results(process, { descending: false, limit: 2 })
        assert.deepEqual([rows.map(row => row.result.nonce), hasNext], [[0, 1], true])
      })

      it('gets the coded error of the node', async () => {
        await assert.rejects(client.result(process, 999_999 as never), { code: 'UNKNOWN_MESSAGE' })
        await assert.rejects(client.send('short' as ProcessId, action('Count')), { code: 'INVALID_ARGUMENT' })
        const over = AbortSignal.abort()
        await assert.rejects(client.result(process, 0 as never, { signal: over }), { code: 'ABORTED' })
      })
    })
  }

  it('is followed from the command line: what is there, then what comes', async () => {
    const client = await connect(network.node(forwarder).httpUrl, { wallet: generateKey('ed25519') })
    try {
      const { process } = await client.spawn({ module: network.modules.echo })
      await client.send(process, action('Count'))
      const args = ['follow', process, '--last', '2', '--count', '4', '--node', network.node(forwarder).httpUrl]
      const following = runCli([...args, '--wallet', network.walletFile, '--json'], { timeoutMs: 30_000 })
      await client.send(process, action('Count'))
      await client.send(process, action('Fail'))
      // However late it began: there are messages after the newest it can have seen.
      const more = setInterval(() => void client.send(process, action('Count')), 500)
      const { code, out, error } = await following.finally(() => clearInterval(more))
      assert.equal(code, 0, error)
      const rows = out
        .trim()
        .split('\n')
        .map(line => JSON.parse(line) as Record<string, unknown>)
      const first = Number(rows[0]?.['nonce'])
      assert.deepEqual(
        rows.map(({ nonce }) => nonce),
        [0, 1, 2, 3].map(i => first + i),
      )
      for (const { nonce, from, Output, Error: failure } of rows) {
        if (nonce === 3) assert.match(String(failure), /asked to fail/)
        else assert.match(String(Output), /^count /)
        assert.equal(from, client.address)
      }
    } finally {
      await client.close()
    }
  })

  it('refuses an answer that was changed on the way', async () => {
    const url = network.node(whole).httpUrl
    const honest = await connect(url, { wallet: generateKey('ed25519') })
    const { process } = await honest.spawn({ module: network.modules.echo })
    const liar = await Liar.start(url)
    const client = await connect(liar.url, { wallet: generateKey('ed25519') })
    try {
      assert.equal((await client.result(process, 0 as never)).result.output, 'count 1')
      liar.replace('count 1', 'count 9')
      await assert.rejects(client.result(process, 0 as never), { code: 'INVALID_RECORD' })
    } finally {
      await Promise.all([client.close(), honest.close(), liar.stop()])
    }
  })

  it('says so where no node answers', async () => {
    const wallet = generateKey('ed25519')
    await assert.rejects(connect('http://127.0.0.1:1', { wallet }), { code: 'PEER_UNREACHABLE' })
    await assert.rejects(connect(network.gateway, { wallet }), { code: 'PEER_UNREACHABLE' })
  })
})

const action = (name: string, ...tags: readonly (readonly [string, string])[]) => ({
  tags: [['Action', name] as const, ...tags].map(([name, value]): Tag => ({ name, value })),
})

/** Stands between a client and a node, and changes what the node answers. */
class Liar {
  readonly #server: Server
  #swap: readonly [string, string] | undefined

  private constructor(target: string) {
    this.#server = createServer(async (request, response) => {
      const body: Buffer[] = []
      for await (const chunk of request) body.push(chunk as Buffer)
      const type = request.headers['content-type'] ?? ''
      const headers = { 'content-type': type }
      const answer = await fetch(target + request.url, { method: 'POST', headers, body: Buffer.concat(body) })
      response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' })
      response.end(this.#changed(Buffer.from(await answer.arrayBuffer())))
    })
  }

  static async start(target: string): Promise<Liar> {
    const liar = new Liar(target)
    await new Promise<void>(resolve => liar.#server.listen(0, '127.0.0.1', resolve))
    return liar
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Texts of equal length, so that the frames still fit. */
  replace(from: string, to: string): void {
    this.#swap = [from, to]
  }

  stop(): Promise<void> {
    this.#server.closeAllConnections()
    return new Promise(resolve => this.#server.close(() => resolve()))
  }

  #changed(bytes: Buffer): Buffer {
    if (this.#swap === undefined) return bytes
    return Buffer.from(bytes.toString('latin1').replaceAll(...this.#swap), 'latin1')
  }
}

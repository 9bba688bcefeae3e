import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Client } from '../../../src/client/client.ts'
import { createKey } from '../../../src/node/keys.ts'
import type { ModuleId, ProcessId } from '../../../src/protocol/ids.ts'
import type { Evaluation } from '../../../src/protocol/result.ts'
import { packageRoot } from '../../../src/testnet/aos-module.ts'
import { aosModule } from '../../support/modules/aos.ts'
import { tagsOf } from '../../support/modules/process.ts'
import { RealNetwork } from '../../support/real-network.ts'
import { runCli } from '../../support/run-cli.ts'

const root = packageRoot(dirname(fileURLToPath(import.meta.url)))
const example = (path: string): string => join(root, 'src/modules/examples', path)

/** What the first message of a result says, as `Name: value`. */
const told = ({ outbox }: Evaluation): Record<string, string> =>
  Object.fromEntries(outbox.messages[0]?.tags.map(({ name, value }) => [name, value]) ?? [])

describe('the examples for authors of modules', function () {
  this.timeout(180_000)
  let network: RealNetwork
  let client: Client
  before(async () => {
    network = new RealNetwork({ shape: { all: ['MU', 'SU', 'CU'] } })
    await network.start()
    client = await network.client('all')
  })
  after(async () => {
    await client.close()
    await network.stop()
  })

  const spawn = async (module: ModuleId): Promise<ProcessId> => {
    const { process, message } = await client.spawn({ module })
    assert.equal((await client.result(process, message)).result.error, undefined)
    return process
  }
  const send = async (process: ProcessId, tags: Readonly<Record<string, string>>, data = ''): Promise<Evaluation> => {
    const { message } = await client.send(process, { tags: tagsOf(tags), data })
    return (await client.result(process, message)).result
  }

  it('count in AssemblyScript, compiled to plain Wasm, whatever else a message says', async () => {
    const wasm = join(network.directory, 'counter.wasm')
    const options = ['-o', wasm, '-O2', '--runtime', 'incremental', '--use', 'abort=', '--exportStart', '_initialize']
    const compiler = join(root, 'node_modules/assemblyscript/bin/asc.js')
    await promisify(execFile)(process.execPath, [compiler, example('counter/counter.ts'), ...options])
    const process_ = await spawn(await network.publish({ bytes: readFileSync(wasm), format: 'ao-abi-1' }))
    assert.equal((await send(process_, { Action: 'Add' })).output, '1')
    const added = await send(process_, { Action: 'Add', Quantity: '41' })
    assert.deepEqual([added.output, told(added)['Count']], ['42', '42'])
    assert.equal(added.outbox.messages[0]?.target, client.address)
    const odd = '"Action","value":"Add" {"name":"Action","value":"Add"} \\" \u0001 ünï \n'
    assert.equal((await send(process_, { Odd: odd, Action: 'Get' }, odd)).output, '42')
    assert.equal((await send(process_, { 'A "quoted" \\ name': odd }, odd)).output, 'Send Add or Get.')
    const failed = await send(process_, { Action: 'Add', Quantity: '-1' })
    assert.equal(failed.error, 'Quantity is not a number from 1 to 1000000')
    for (let i = 0; i < 8; i++) await client.send(process_, { tags: tagsOf({ Action: 'Add' }), data: odd.repeat(50) })
    assert.equal((await send(process_, { Action: 'Get' })).output, '50')
  })

  it('keep a token in JavaScript, published and used from the command line', async () => {
    const wallet = join(network.directory, 'author.json')
    const author = createKey(wallet, 'ed25519').signer
    const run = async (...args: string[]): Promise<Record<string, unknown>> => {
      const outcome = await runCli([...args, '--wallet', wallet, '--json'], { timeoutMs: 60_000 })
      assert.equal(outcome.code, 0, `${args.join(' ')}: ${outcome.error}`)
      return JSON.parse(outcome.out) as Record<string, unknown>
    }
    const node = ['--node', network.node('all').endpoint]
    const published = await run('module', 'publish', example('token/token.js'), '--arweave-url', network.arweaveUrl)
    assert.equal(published['format'], 'js-quickjs-1')
    const module = String(published['module'])
    const token = String((await run('spawn', '--module', module, '--tag', 'Ticker=COIN', ...node))['process'])
    const minted = await run('send', token, '--action', 'Mint', '--tag', 'Quantity=1000', ...node)
    assert.equal(minted['Output'], '1000 1000')

    const someone = 'B'.repeat(43)
    const transfer = ['--action', 'Transfer', '--tag', `Recipient=${someone}`, '--tag', 'Quantity=5']
    const sent = await run('send', token, ...transfer, ...node)
    const messages = sent['Messages'] as { Target: string; Tags: { name: string; value: string }[] }[]
    assert.deepEqual(
      messages.map(({ Target, Tags }) => [Target, Tags[0]?.value]),
      [
        [author.address, 'Debit-Notice'],
        [someone, 'Credit-Notice'],
      ],
    )
    const balance = await run('dry-run', token, '--action', 'Balance', ...node)
    assert.equal(balance['Output'], `${author.address} 995`)

    const process_ = token as ProcessId
    assert.equal((await send(process_, { Action: 'Mint', Quantity: '5' })).output, 'only the owner mints')
    const poor = await send(process_, { Action: 'Transfer', Recipient: someone, Quantity: '1' })
    assert.deepEqual([poor.error, told(poor)['Reason']], [undefined, 'the balance is too low'])
    for (const Quantity of ['0', '-1', '1.5', '1e3', '']) {
      const { output } = await send(process_, { Action: 'Transfer', Recipient: someone, Quantity })
      assert.equal(output, 'Quantity is not a whole number above zero', Quantity)
    }
    assert.match(String((await send(process_, { Action: '__proto__' })).output), /no such Action/)
  })

  it('keep a guestbook in Lua, loaded into an aos Process', async () => {
    const { bytes, format } = await aosModule()
    const process_ = await spawn(await network.publish({ bytes, format, name: 'aos' }))
    const load = (): Promise<Evaluation> =>
      send(process_, { Action: 'Eval' }, readFileSync(example('guestbook/guestbook.lua'), 'utf8'))
    assert.match(JSON.stringify((await load()).output), /a book of 0 entries/)
    const signed = await send(process_, { Action: 'Sign' }, 'Hello!')
    assert.deepEqual([told(signed)['Action'], told(signed)['Number']], ['Signed', '1'])
    await send(process_, { Action: 'Sign' }, 'x'.repeat(201))
    assert.match(JSON.stringify((await load()).output), /a book of 1 entries/)
    const read = await client.dryRun(process_, { tags: tagsOf({ Action: 'Read' }), data: '' })
    assert.equal(read.outbox.messages[0]?.data, '1. Hello!')
  })
})

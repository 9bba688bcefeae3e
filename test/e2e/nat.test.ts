import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { pipeline } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { echoFormat, echoModule } from '../../src/modules/echo/echo.ts'
import { configFile } from '../../src/node/config.ts'
import { createKey } from '../../src/node/keys.ts'
import { parseAttestation } from '../../src/protocol/attestation.ts'
import { verifyDataItem } from '../../src/protocol/data-item.ts'
import { eventually } from '../support/eventually.ts'
import { RealNetwork } from '../support/real-network.ts'

const slow = process.env['AONET_SLOW_TESTS'] === '1'
/** Namespaces need Linux and its permission. */
const mayIsolate = (): boolean => spawnSync('unshare', ['-n', 'ip', 'link', 'set', 'lo', 'up']).status === 0

describe('a node in a network namespace that nobody can dial into', function () {
  this.timeout(240_000)
  const net = new RealNetwork({
    shape: { relay: [], unit: ['MU', 'SU'] },
    settings: { relayServer: true },
  })
  let wayOut: Server | undefined
  let stop: () => Promise<void> = async () => undefined

  before(async function () {
    if (!slow || !mayIsolate()) this.skip()
    await net.start()
  })
  after(async () => {
    await stop()
    wayOut?.close()
    await net.stop()
  })

  it('serves as CU through a relay', async () => {
    const directory = join(net.directory, 'hidden')
    const { address } = createKey(join(directory, 'key.json'), 'ed25519').signer
    const multiaddrs = await Promise.all(
      [...net.nodes.values()].map(async node => (await node.status())?.['multiaddrs']),
    )
    const [[bootstrap = '']] = multiaddrs as [string[]]
    const config = join(directory, 'config.yaml')
    const settings = { dataDir: directory, roles: ['CU' as const], arweaveUrl: net.arweaveUrl, computeWorkers: 1 }
    writeFileSync(config, configFile({ ...settings, bootstrap: [bootstrap], relay: true }))
    // Outwards it reaches what the others listen on, at the same addresses.
    const ports = [
      Number(new URL(net.arweaveUrl).port),
      ...(multiaddrs as string[][]).flat().map(text => Number(text.split('/')[4])),
      ...[...net.nodes.values()].map(({ endpoint }) => Number(endpoint.split(':').at(-1))),
    ]
    const out = join(net.directory, 'out.sock')
    wayOut = createServer({ allowHalfOpen: true }, socket => void letOut(socket)).listen(out)
    const log = openSync(join(directory, 'node.log'), 'a')
    const program = fileURLToPath(new URL('../support/behind-nat.js', import.meta.url))
    const start = ['-n', process.execPath, program, out, ports.join(','), 'start', '--config', config]
    const child = spawn('unshare', start, { stdio: ['ignore', log, log, 'ipc'] })
    closeSync(log)
    stop = async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGTERM')
      await once(child, 'exit')
    }
    const seen = async (): Promise<boolean> => ((await net.node('unit').status())?.['units'] as number) >= 3
    await eventually('the unit knows it', seen, 60_000)
    const client = await net.client('unit')
    try {
      const module = await net.publish({ bytes: echoModule(), format: echoFormat, name: 'echo' })
      const { process } = await client.spawn({ module, scheduler: net.node('unit').address })
      const { nonce } = await client.send(process, { data: 'through the relay' })
      const asked = (): ReturnType<typeof client.result> =>
        client.result(process, nonce, { signal: AbortSignal.timeout(60_000) })
      const answer = await eventually('an answer', () => asked().catch(() => undefined), 60_000)
      const { compute } = parseAttestation(await verifyDataItem(answer.attestation))
      assert.equal(compute, address)
    } finally {
      await client.close()
    }
  })
})

/** The first line names the port; what follows goes there. */
async function letOut(socket: Socket): Promise<void> {
  socket.on('error', () => undefined)
  let line = ''
  while (!line.endsWith('\n')) {
    const byte = socket.read(1) as Buffer | null
    if (byte !== null) line += byte.toString()
    else await once(socket, 'readable')
  }
  const there = connect({ port: Number(line), host: '127.0.0.1', allowHalfOpen: true })
  pipeline(socket, there, () => undefined)
  pipeline(there, socket, () => undefined)
}

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GatewayClient } from '../../src/arweave/gateway-client.ts'
import { MemoryArweave } from '../../src/arweave/memory-arweave.ts'
import { Devnet } from '../../src/devnet/devnet.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentTelemetry } from '../../src/lib/telemetry.ts'
import { generateKey, signerFromJwk } from '../../src/protocol/keys.ts'
import { arweaveClientSuite } from './arweave-client.ts'

arweaveClientSuite('in memory', async () => {
  const client = new MemoryArweave()
  return { client, mine: () => client.mine(), close: async () => undefined }
})

arweaveClientSuite('over HTTP, against the devnet', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'aonet-arweave-'))
  const devnet = new Devnet(
    { ...silentTelemetry, clock: systemClock },
    { dataDir, host: '127.0.0.1', port: 0, blockMs: 0, network: 'conformance' },
  )
  await devnet.start()
  const wallet = generateKey('rsa')
  await fetch(`${devnet.url}/mint/${signerFromJwk(wallet).address}/1000000000000`)
  return {
    client: new GatewayClient(silentTelemetry, { gatewayUrl: devnet.url, wallet }),
    mine: () => fetch(`${devnet.url}/mine`, { method: 'POST' }),
    close: async () => {
      await devnet.stop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
})

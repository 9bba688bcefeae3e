import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from '../../../src/client/index.ts'
import { memberToken } from '../../../src/lib/member-token.ts'
import { connectNode } from '../../../src/network/grpc/connect.ts'
import { loadConfig } from '../../../src/node/config.ts'
import { createKey } from '../../../src/node/keys.ts'
import { createNode } from '../../../src/node/node.ts'
import { generateKey } from '../../../src/protocol/keys.ts'
import { freePorts } from '../../../src/testnet/ports.ts'
import { withTempDir } from '../../support/builders.ts'
import { eventually } from '../../support/eventually.ts'
import { runCli } from '../../support/run-cli.ts'

describe('a private network', () => {
  it('answers over gRPC and HTTP who shows its member token or is a unit of it, and nobody else', () =>
    withTempDir(async directory => {
      const swarmKey = join(directory, 'swarm.key')
      assert.equal((await runCli(['keys', 'network', swarmKey])).code, 0)
      const token = (await runCli(['keys', 'member-token', swarmKey])).out.trim()
      assert.equal(token, memberToken(readFileSync(swarmKey)))
      const [p2p = 0, grpcPort = 0, httpPort = 0] = await freePorts(3)
      const start = async (name: string, flags: object) => {
        const dataDir = join(directory, name)
        const keyFile = join(dataDir, 'key.json')
        createKey(keyFile, 'ed25519')
        const options = loadConfig({ flags: { dataDir, roles: '', privateNetworkKeyFile: swarmKey, ...flags } })
        const node = createNode({ ...options, logLevel: 'error' }, { version: '0.0.0', keyFile })
        await node.start()
        return node
      }
      const first = await start('first', { p2pListen: `/ip4/127.0.0.1/tcp/${p2p}`, grpcPort, httpPort })
      const second = await start('second', { bootstrap: `/ip4/127.0.0.1/tcp/${p2p}` })
      try {
        const [grpc, http] = [`127.0.0.1:${grpcPort}`, `http://127.0.0.1:${httpPort}`]
        const wallet = generateKey('ed25519')
        for (const at of [grpc, http]) {
          for (const wrong of [undefined, `${token.slice(0, -1)}_`]) {
            await assert.rejects(connectNode(at, { memberToken: wrong }), (error: Error & { hint?: string }) => {
              assert.equal((error as { code?: string }).code, 'UNAUTHENTICATED')
              assert.match(error.hint ?? '', /aonet keys member-token/)
              return true
            })
          }
          const member = await connect(at, { wallet, memberToken: token })
          await eventually('it knows both', async () => (await member.node.listUnits()).length === 2, 15_000)
          await member.close()
        }
        const status = async (path: string, headers: Record<string, string> = {}): Promise<number> =>
          (await fetch(http + path, { headers })).status
        assert.equal(await status('/health'), 200)
        for (const path of ['/status', '/metrics', '/su/x', '/nothing', '/docs', '/health/../status', '//status']) {
          assert.equal(await status(path), 401, path)
        }
        assert.equal(await status('/status', { authorization: `Bearer ${token}` }), 200)
      } finally {
        await Promise.all([first.stop(), second.stop()])
      }
    })).timeout(60_000)
})

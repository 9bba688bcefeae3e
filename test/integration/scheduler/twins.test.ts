import assert from 'node:assert/strict'
import { cpSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Devnet } from '../../../src/devnet/devnet.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import type { AoError } from '../../../src/lib/errors.ts'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import { GrpcUnits } from '../../../src/network/grpc/clients.ts'
import { loadConfig } from '../../../src/node/config.ts'
import { createKey } from '../../../src/node/keys.ts'
import { type AoNode, createNode } from '../../../src/node/node.ts'
import type { DataItem } from '../../../src/protocol/data-item.ts'
import type { UnitRole } from '../../../src/protocol/unit-record.ts'
import { aMessage, aProcess, withTempDir } from '../../support/builders.ts'
import { eventually } from '../../support/eventually.ts'

/** What the node's scheduler says to a new message, once it can say anything. */
async function says(units: GrpcUnits, node: AoNode, item: DataItem, data: string): Promise<string> {
  return eventually(
    'an answer',
    async () =>
      units
        .scheduler(node.record())
        .schedule(await aMessage(item, { data }))
        .then(
          ({ nonce }) => `nonce ${nonce}`,
          (error: AoError) => (error.code === 'NOT_READY' ? undefined : error.code),
        ),
    20_000,
  )
}

describe('two nodes with one key', function () {
  this.timeout(90_000)

  it('stop signing when they share a peer, whatever their directories say; and a backup is told what the peer saw', () =>
    withTempDir(async dir => {
      const devnet = new Devnet(
        { ...silentTelemetry, clock: systemClock },
        { dataDir: join(dir, 'arweave'), host: '127.0.0.1', port: 0, blockMs: 300, network: 'twins' },
      )
      await devnet.start()
      const wallet = createKey(join(dir, 'wallet.json'), 'rsa')
      await fetch(`${devnet.url}/mint/${wallet.signer.address}/1000000000000000`)
      const units = new GrpcUnits(silentTelemetry)
      const running = new Set<AoNode>()
      const run = async (
        name: string,
        roles: readonly UnitRole[],
        bootstrap: readonly string[],
        confirmMoved = false,
      ) => {
        const dataDir = join(dir, name)
        createKey(join(dataDir, 'key.json'), 'ed25519')
        const flags = { dataDir, roles, bootstrap, confirmMoved, arweaveUrl: devnet.url, logLevel: 'error' }
        // Nothing is settled here: what is known of the key, the peer alone knows.
        const config = loadConfig({
          flags: { ...flags, arweaveWallet: join(dir, 'wallet.json'), settleEveryMs: 3_600_000 },
        })
        const node = createNode(config, { version: 'test', keyFile: join(dataDir, 'key.json') })
        await node.start()
        running.add(node)
        return node
      }
      const stop = async (node: AoNode): Promise<void> => {
        running.delete(node)
        await node.stop()
      }
      try {
        const hub = await run('hub', [], [])
        const joinAt = (await hub.status())['multiaddrs'] as readonly string[]
        let su = await run('su', ['SU'], joinAt)
        const item = await aProcess({ scheduler: su.record().address })
        await eventually(
          'the spawn',
          () =>
            units
              .scheduler(su.record())
              .schedule(item)
              .catch(() => undefined),
          20_000,
        )
        assert.equal(await says(units, su, item, 'a'), 'nonce 1')
        await stop(su)
        mkdirSync(join(dir, 'copy'))
        cpSync(join(dir, 'su'), join(dir, 'copy'), { recursive: true })
        cpSync(join(dir, 'su'), join(dir, 'backup'), { recursive: true })

        await assert.rejects(run('copy', ['SU'], joinAt), { code: 'STORE_LOCKED' }, 'the mark tells a copy')

        // An operator who says so wrongly, or a machine whose mark is cloned.
        su = await run('su', ['SU'], joinAt)
        assert.equal(await says(units, su, item, 'b'), 'nonce 2')
        const copy = await run('copy', ['SU'], joinAt, true)
        assert.equal(await says(units, copy, item, 'by the copy'), 'EQUIVOCATION', 'it signs nothing, ever')
        let sent = 0
        await eventually(
          'the first to stop signing too',
          async () => (await says(units, su, item, `still ${sent++}`)) === 'EQUIVOCATION',
          60_000,
        )
        await stop(copy)
        await stop(su)

        const backup = await run('backup', ['SU'], joinAt, true)
        assert.equal(await says(units, backup, item, 'c'), 'EQUIVOCATION', 'the peer saw nonce 2')
      } finally {
        await units.stop()
        for (const node of [...running].reverse()) await node.stop()
        await devnet.stop()
      }
    }))
})

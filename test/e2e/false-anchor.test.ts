import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseStoredItem } from '../../src/protocol/data-item.ts'
import { parseEvidence, verifyEvidence } from '../../src/protocol/evidence.ts'
import { fetchStatus } from '../../src/testnet/node-status.ts'
import { eventually } from '../support/eventually.ts'
import { withStakedTestnet } from '../support/staked-testnet.ts'

const slow = process.env['AONET_SLOW_TESTS'] === '1'

describe('an SU that names blocks that are not there, on a network of separate processes', () => {
  it('is noticed, told of by the reporters, proven and slashed, without anyone touching it', async function () {
    if (!slow) this.skip()
    this.timeout(300_000)
    await withStakedTestnet({ cheat: 'all-1', heir: 'su-1', fault: 'false-anchor' }, async net => {
      const { cwd, nodes, cheat, user, module, stake, slashed } = net
      const { process } = await user.client.spawn({ module, scheduler: cheat.address })
      // Nodes look at what staked SUs sign, as soon as they have read from Arweave that it is staked.
      const sending = setInterval(
        () => void user.client.send(process, { data: 'at a block of its own making' }).catch(() => undefined),
        3_000,
      )
      const offence = await slashed(120_000).finally(() => clearInterval(sending))
      assert.deepEqual([offence.class, BigInt(offence.slashed)], ['anchor', stake / 10n])
      assert.equal(BigInt(offence.paidReporter), stake / 200n, 'the reporter got its twentieth')
      const reporter = nodes.find(({ address }) => address === offence.reporter) ?? assert.fail('no node reported')
      const { standing } = JSON.parse(
        await user.court.ask('Operator', { Role: 'SU', Operator: cheat.address }),
      ) as Record<string, string>
      assert.equal(standing, 'jailed')

      const files = join(cwd, reporter.directory, 'evidence')
      const evidence = readdirSync(files).map(file => parseEvidence(parseStoredItem(readFileSync(join(files, file)))))
      for (const one of evidence) {
        const { kind, unit } = await verifyEvidence(one)
        assert.deepEqual([kind, unit], ['F9', cheat.address], 'nobody else is accused')
      }

      const oneHash = async (): Promise<boolean> => {
        const own = await Promise.all(
          nodes.map(async node => (await fetchStatus(node))?.['economy'] as Record<string, string>),
        )
        const asked = await user.court.ask('State-Hash').catch(() => 'nobody answers')
        return new Set([...own.map(economy => economy['stateHash']), asked]).size === 1
      }
      await eventually('all agree', oneHash, 60_000)
    })
  })
})

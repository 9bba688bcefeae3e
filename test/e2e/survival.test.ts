import assert from 'node:assert/strict'
import { askAdmin } from '../../src/cli/admin.ts'
import type { Client } from '../../src/client/client.ts'
import { echoFormat, echoModule } from '../../src/modules/echo/echo.ts'
import type { ModuleId, Nonce, ProcessId } from '../../src/protocol/ids.ts'
import type { UnitRole } from '../../src/protocol/unit-record.ts'
import { eventually } from '../support/eventually.ts'
import { RealNetwork } from '../support/real-network.ts'

const slow = process.env['AONET_SLOW_TESTS'] === '1'

interface Blamed {
  readonly points: number
  readonly bannedUntil: number
}

interface Shape {
  readonly sus: number
  readonly mus: number
  readonly cus: number
}

/** One node without a role to join through, and so many of each. */
const shapeOf = ({ sus, mus, cus }: Shape): Record<string, readonly UnitRole[]> => ({
  join: [],
  ...Object.fromEntries(Array.from({ length: sus }, (_, i) => [`su-${i + 1}`, ['SU' as const]])),
  ...Object.fromEntries(Array.from({ length: mus }, (_, i) => [`mu-${i + 1}`, ['MU' as const]])),
  ...Object.fromEntries(Array.from({ length: cus }, (_, i) => [`cu-${i + 1}`, ['CU' as const]])),
})

function survives(what: string, shape: Shape, { killSu }: { readonly killSu: boolean }): void {
  describe(what, function () {
    this.timeout(300_000)
    const net = new RealNetwork({ shape: shapeOf(shape) })
    const clients: Client[] = []
    let module: ModuleId
    const names = (role: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${role}-${i + 1}`)
    const client = async (name: string): Promise<Client> => {
      const made = await net.client(name)
      clients.push(made)
      return made
    }
    /** A new Process on an SU, through an MU, and what a CU says of its first message. */
    const talk = async (mu: Client, su: string): Promise<ProcessId> => {
      const { process } = await mu.spawn({ module, scheduler: net.node(su).address })
      return say(mu, process)
    }
    const say = async (mu: Client, process: ProcessId): Promise<ProcessId> => {
      const { nonce } = await mu.send(process, { data: 'hello' })
      await mu.result(process, nonce, { signal: AbortSignal.timeout(60_000) })
      return process
    }

    before(async () => {
      await net.start()
      module = await net.publish({ bytes: echoModule(), format: echoFormat, name: 'echo' })
    })
    after(async () => {
      await Promise.all(clients.map(one => one.close()))
      await net.stop()
    })

    it('finds itself from one address within ten seconds of the last start', () => {
      assert.ok(net.wholeAfterMs < 10_000, `${net.wholeAfterMs} ms`)
    })

    it('lets any MU reach any SU, and CUs', async () => {
      for (const mu of names('mu', shape.mus)) {
        const through = await client(mu)
        for (const su of names('su', shape.sus)) await talk(through, su)
      }
    })

    it('is whole again soon after all its nodes lost power and started at once, and nobody is blamed for it', async () => {
      const process = await talk(await client('mu-1'), 'su-1')
      const all = [...net.nodes.values()]
      await Promise.all(all.map(node => node.kill()))
      await Promise.all(all.map(node => node.start()))
      const startedAt = performance.now()
      await eventually('the nodes to find each other again', () => net.isWhole(), 60_000)
      const wholeAfterMs = performance.now() - startedAt
      assert.ok(wholeAfterMs < 15_000, `${wholeAfterMs} ms`)
      await say(await client('mu-1'), process)
      for (const { directory, name } of all) {
        const rows = (await askAdmin({ dataDir: directory }, 'peers')) as unknown as readonly Blamed[]
        const blamed = rows.filter(({ points, bannedUntil }) => points > 0 || bannedUntil > 0)
        assert.deepEqual(blamed, [], `${name} blames`)
      }
    })

    it('goes on when the node all joined through and one of each role are killed', async () => {
      const lastMu = await client(`mu-${shape.mus}`)
      const lastSu = `su-${shape.sus}`
      const process = await talk(lastMu, lastSu)
      await Promise.all(['join', 'mu-1', 'cu-1', ...(killSu ? ['su-1'] : [])].map(name => net.node(name).kill()))
      await say(lastMu, process)
      const again = await eventually('a new Process', () => talk(lastMu, lastSu).catch(() => undefined), 60_000)
      assert.equal((await lastMu.node.units.scheduler.assignment(again, 1 as Nonce)).nonce, 1)
    })
  })
}

survives('a network of six processes', { sus: 1, mus: 2, cus: 2 }, { killSu: false })
if (slow) survives('a network of twenty processes', { sus: 4, mus: 6, cus: 9 }, { killSu: true })

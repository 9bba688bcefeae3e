import assert from 'node:assert/strict'
import { eventually } from '../support/eventually.ts'
import { type AoEdge, AoUser, readCursor, type Tag, type Version, versions } from './ao-client.ts'
import { type Door, type Layout, LocalNetwork, layouts, triedLayouts } from './local-network.ts'

interface FoundItem {
  readonly owner: { readonly address: string }
  readonly tags: readonly Tag[]
}

/** What only nodes with one role each could do differently is tried with one version. */
const slow = globalThis.process.env['AONET_SLOW_TESTS'] === '1'
const versionsIn = (layout: Layout): readonly Version[] => (slow || layout === 'whole' ? versions : [versions[0]])

function suite(layout: Layout): void {
  const doors: readonly Door[] = layouts[layout]
  const indirect = doors.at(-1) as Door
  let network: LocalNetwork
  before(async () => {
    network = await LocalNetwork.start(layout)
  })
  after(() => network?.stop())

  for (const version of versionsIn(layout)) {
    for (const door of doors) {
      describe(`${version} through ${door}`, () => {
        let user: AoUser
        let process: string
        before(async () => {
          user = await AoUser.of(version, { network, door })
          process = await user.spawn('echo')
        })

        it('spawns a Process and reads what its own item gave', async () => {
          const { Output } = await user.ao.result({ process, message: process })
          assert.equal(Output, 'count 1')
        })

        it('sends messages and reads the result of each', async () => {
          const fresh = await user.spawn('echo')
          const first = await user.message(fresh, 'Count')
          const second = await user.message(fresh, 'Count')
          // The later one first: the earlier is evaluated on the way.
          assert.equal((await user.ao.result({ process: fresh, message: second })).Output, 'count 3')
          const { Output, Messages, Spawns, Error: failure } = await user.ao.result({ process: fresh, message: first })
          assert.deepEqual([Output, Messages, Spawns, failure], ['count 2', [], [], undefined])
        })

        it('sees the error of a message in its result, and the state of before after it', async () => {
          const fresh = await user.spawn('echo')
          const failing = await user.message(fresh, 'Fail')
          assert.match(String((await user.ao.result({ process: fresh, message: failing })).Error), /asked to fail/)
          const next = await user.message(fresh, 'Count')
          assert.equal((await user.ao.result({ process: fresh, message: next })).Output, 'count 2')
        })

        it('dry-runs without leaving a trace', async () => {
          const fresh = await user.spawn('echo')
          const dry = () => user.ao.dryrun({ process: fresh, tags: [{ name: 'Action', value: 'Count' }] })
          assert.equal((await dry()).Output, 'count 2')
          assert.equal((await dry()).Output, 'count 2')
          const message = await user.message(fresh, 'Count')
          assert.equal((await user.ao.result({ process: fresh, message })).Output, 'count 2')
        })

        describe('paging through results', () => {
          let paged: string
          before(async () => {
            paged = await user.spawn('echo')
            for (const action of ['Count', 'Count', 'Count', 'Fail', 'Count', 'Count', 'Count']) {
              await user.message(paged, action)
            }
          })

          it('misses none but the failed, from the oldest on', async () => {
            const seen: unknown[] = []
            for (let place = {}, more = true; more && seen.length < 100; ) {
              const { edges } = await user.ao.results({ process: paged, limit: 2, ...place })
              seen.push(...edges.map(({ node }) => node.Output))
              place = { from: edges.at(-1)?.cursor }
              more = edges.length === 2
            }
            assert.deepEqual(
              seen,
              [1, 2, 3, 4, 5, 6, 7].map(n => `count ${n}`),
            )
          })

          it('goes back from the newest', async () => {
            const page = async (to?: string) => {
              const place = to === undefined ? {} : { to }
              const { edges } = await user.ao.results({ process: paged, limit: 3, sort: 'DESC', ...place })
              return { nonces: edges.map(edge => readCursor(edge).ordinate), last: edges.at(-1)?.cursor }
            }
            const newest = await page()
            assert.deepEqual(newest.nonces, ['7', '6', '5'])
            // `to` is inclusive, so the last one comes again.
            assert.deepEqual((await page(newest.last)).nonces, ['5', '3', '2'])
          })
        })

        it('goes on from a DESC cursor to what is newer, as the aos command line does', async () => {
          const fresh = await user.spawn('echo')
          await user.message(fresh, 'Count')
          const { edges: before } = await user.ao.results({ process: fresh, limit: 5, sort: 'DESC' })
          const from = before[0]?.cursor ?? ''
          assert.deepEqual((await user.ao.results({ process: fresh, from, limit: 1000 })).edges, [])
          await user.message(fresh, 'Count')
          const { edges } = await user.ao.results({ process: fresh, from, limit: 1000 })
          assert.deepEqual(
            edges.map(edge => [edge.node.Output, readCursor(edge).ordinate]),
            [['count 3', '2']],
          )
        })

        const many = version === versions[0] && door === doors[0] ? 100 : 30 // signing them takes the longest
        it(`orders ${many} messages sent at once without a gap, each once`, async () => {
          const fresh = await user.spawn('echo')
          const sent = await Promise.all(Array.from({ length: many }, () => user.message(fresh, 'Count')))
          const outputs = await Promise.all(sent.map(message => user.ao.result({ process: fresh, message })))
          const counts = outputs.map(({ Output }) => Number(String(Output).replace('count ', '')))
          assert.deepEqual(
            counts.sort((a, b) => a - b),
            Array.from({ length: many }, (_, i) => i + 2),
          )
        })

        it('assigns a message of one Process to another, whole or without some of its fields', async () => {
          const [source, whole, partial] = [
            await user.spawn('echo'),
            await user.spawn('echo'),
            await user.spawn('echo'),
          ]
          const message = await user.message(source, 'Count', { data: 'for all' })
          await network.onArweave(message)
          const assignment = await user.ao.assign({ process: whole, message })
          assert.equal((await user.ao.result({ process: whole, message: assignment })).Output, 'count 2')
          assert.equal((await user.ao.result({ process: whole, message })).Output, 'count 2')
          await user.ao.assign({ process: partial, message, exclude: ['Data', 'Anchor'] })
          assert.equal((await user.ao.result({ process: partial, message })).Output, 'count 2')
          assert.equal(await user.ao.assign({ process: whole, message }), assignment)
        })

        it('assigns a transaction of Arweave itself once it is deep enough', async () => {
          const message = await network.transaction('on the base layer')
          const fresh = await user.spawn('echo', [{ name: 'Settlement-Depth', value: '3' }])
          await assert.rejects(
            user.ao.assign({ process: await user.spawn('echo'), message, baseLayer: true }),
            /confirm/,
          )
          await eventually(
            'three confirmations',
            () => network.confirmations(message).then(count => count >= 3),
            30_000,
          )
          await user.ao.assign({ process: fresh, message, baseLayer: true })
          assert.equal((await user.ao.result({ process: fresh, message })).Output, 'count 2')
        })

        it('sees two Processes play ping-pong', async () => {
          const [a, b] = await Promise.all([user.spawn('echo'), user.spawn('echo')])
          await user.message(a, 'Send-Ping', { tags: [{ name: 'Recipient', value: b }] })
          // The ping reaches b, and its pong a.
          for (const [process, count] of [
            [b, 'count 2'],
            [a, 'count 3'],
          ] as const) {
            await eventually(
              `${count} at ${process}`,
              async () => {
                const { edges } = await user.ao.results({ process, limit: 1, sort: 'DESC' })
                return edges[0]?.node.Output === count
              },
              30_000,
            )
          }
          const { edges } = await user.ao.results({ process: b, limit: 1, sort: 'DESC' })
          assert.equal(edges[0]?.node.Messages[0]?.Target, a)
          assert.equal(edges[0]?.node.Messages[0]?.Tags.find(({ name }) => name === 'Action')?.value, 'Pong')
        })

        it('is told what is wrong', async () => {
          const nowhere = 'A'.repeat(43)
          await assert.rejects(user.message(nowhere, 'Count'), /Process/)
          const unknown = await user.ao.result({ process, message: nowhere })
          assert.match(String(unknown.error), /no such message/)
          // aoconnect looks the Module up itself, and says no more than this.
          await assert.rejects(
            user.ao.spawn({ module: nowhere, scheduler: network.scheduler, signer: user.signer }),
            /Invalid Return/,
          )
          await assert.rejects(user.ao.assign({ process, message: nowhere }), /Arweave does not have/)
          await assert.rejects(user.ao.unmonitor({ process, signer: user.signer }), /not found|monitor/i)
          await assert.rejects(user.spawn('echo', [{ name: 'Cron-Interval', value: 'soon' }]), /Cron-Interval|spawn/i)
        })
      })
    }
  }

  for (const version of versionsIn(layout)) {
    it(`runs crons by time and by block, and pushes them while they are monitored (${version})`, async () => {
      const user = await AoUser.of(version, { network, door: indirect })
      const target = await user.spawn('echo')
      const crons = [
        { name: 'Cron-Interval', value: '1-second' },
        { name: 'Cron-Tag-Action', value: 'Send-Ping' },
        { name: 'Cron-Tag-Recipient', value: target },
        { name: 'Cron-Interval', value: '2-blocks' },
        { name: 'Cron-Tag-Action', value: 'Count' },
      ]
      const process = await user.spawn('echo', crons)
      const monitoring = { process, signer: user.signer }
      await user.ao.monitor(monitoring)
      await assert.rejects(user.ao.monitor(monitoring), /already|monitor/i)
      await eventually(
        'three pings of crons',
        async () => {
          const { edges } = await user.ao.results({ process: target, limit: 1, sort: 'DESC' })
          return Number(String(edges[0]?.node.Output).replace('count ', '')) >= 4
        },
        40_000,
      )
      await user.ao.unmonitor(monitoring)
      await assert.rejects(user.ao.unmonitor(monitoring), /not found|monitor/i)
      const { edges } = await user.ao.results({ process, limit: 1000 })
      const read = edges.map(edge => readCursor(edge) as unknown as { cron: string | null; timestamp: number })
      assert.ok(read.some(({ cron }) => cron === '0-1-second') && read.some(({ cron }) => cron === '0-2-blocks'))
      // Each evaluation counts one, crons and messages alike, and none is shown twice or out of order.
      assert.deepEqual(
        edges.map(({ node }) => node.Output),
        edges.map((_, i) => `count ${i + 1}`),
      )
      const seconds = read.filter(({ cron }) => cron === '0-1-second').map(({ timestamp }) => timestamp)
      assert.deepEqual(
        seconds,
        seconds.map((_, i) => (seconds[0] ?? 0) + i * 1000),
      )
      // Pages go on from a cron's cursor, both ways.
      const middle = edges[Math.floor(edges.length / 2)]
      const next = await user.ao.results({ process, from: middle?.cursor ?? '', limit: 1 })
      assert.equal(next.edges[0]?.node.Output, edges[Math.floor(edges.length / 2) + 1]?.node.Output)
      const url = network.units(indirect).CU.httpUrl
      const only = (await (await fetch(`${url}/cu/cron/${process}?limit=1000`)).json()) as { edges: readonly AoEdge[] }
      assert.ok(only.edges.length >= read.filter(({ cron }) => cron !== null).length)
      assert.ok(only.edges.every(edge => (readCursor(edge) as unknown as { cron: string | null }).cron !== null))
    })
  }

  it('brings what a Process sends a wallet to Arweave, where its owner finds it', async () => {
    const user = await AoUser.of('0.0.98', { network, door: indirect })
    const process = await user.spawn('echo')
    const wallet = 'w'.repeat(43)
    await user.message(process, 'Send-Ping', { tags: [{ name: 'Recipient', value: wallet }] })
    const query = `{ transactions(recipients: ["${wallet}"], tags: [{ name: "From-Process", values: ["${process}"] }]) {
      edges { node { owner { address } tags { name value } } }
    } }`
    const found = await eventually(
      'the item on Arweave',
      async () => {
        const answer = await fetch(`${network.gateway}/graphql`, {
          ...{ method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query }) },
        })
        const { data } = (await answer.json()) as { data: { transactions: { edges: readonly { node: FoundItem }[] } } }
        return data.transactions.edges.length > 0 ? data.transactions.edges : undefined
      },
      60_000,
    )
    assert.deepEqual(
      found.map(({ node }) => [node.owner.address, node.tags.find(({ name }) => name === 'Action')?.value]),
      [[network.authority, 'Ping']],
    )
  })

  it('works with a slash behind the URLs of the units', async () => {
    const user = await AoUser.of('0.0.98', { network, door: doors[0] as Door, slash: '/' })
    const process = await user.spawn('echo')
    const message = await user.message(process, 'Count')
    assert.equal((await user.ao.result({ process, message })).Output, 'count 2')
    assert.equal((await user.ao.results({ process })).edges.length, 2)
    assert.equal((await user.ao.dryrun({ process, tags: [{ name: 'Action', value: 'Count' }] })).Output, 'count 3')
  })

  describe('with aos Processes', () => {
    for (const version of versionsIn(layout)) {
      it(`evaluates Lua, keeps state, and reports Lua errors (${version})`, async () => {
        const user = await AoUser.of(version, { network, door: indirect })
        const process = await user.spawn('aos', [{ name: 'Name', value: 'compat' }])
        assert.equal(await user.evaluate(process, 'Count = 41; return Count + 1'), '42')
        assert.equal(await user.evaluate(process, 'Count = Count + 2; return Count'), '43')
        const bad = await user.message(process, 'Eval', { data: 'error("deliberate")' })
        assert.match(JSON.stringify(await user.ao.result({ process, message: bad })), /deliberate/)
        const dry = await user.ao.dryrun({ process, tags: [{ name: 'Action', value: 'Info' }], data: '' })
        assert.equal(dry.error, undefined)
      })
    }

    it('boots a Process from its own data, or from an item or transaction on Arweave', async () => {
      const user = await AoUser.of('0.0.98', { network, door: indirect })
      const source = await user.spawn('echo')
      const item = await user.message(source, 'Code', { data: 'Booted = "by an item"' })
      await network.onArweave(item)
      const transaction = await network.transaction('Booted = "by a transaction"')
      await eventually('a block', () => network.confirmations(transaction).then(count => count >= 1), 30_000)
      const boot = (value: string) => [
        { name: 'On-Boot', value },
        { name: 'Settlement-Depth', value: '1' },
      ]
      for (const [value, said] of [
        [item, 'by an item'],
        [transaction, 'by a transaction'],
      ] as const) {
        assert.equal(await user.evaluate(await user.spawn('aos', boot(value)), 'return Booted'), said)
      }
      const { authority, scheduler, modules } = network
      const own = await user.ao.spawn({
        ...{ module: modules.aos, scheduler, signer: user.signer, data: 'Booted = "by itself"' },
        tags: [{ name: 'Authority', value: authority }, ...boot('Data')],
      })
      assert.equal(await user.evaluate(own, 'return Booted'), 'by itself')
      await assert.rejects(user.spawn('aos', boot('A'.repeat(43))), /cannot boot|spawn/i)
      await assert.rejects(user.spawn('aos', boot('nonsense')), /On-Boot|spawn/i)
    })

    it('shows the memory of a Process, and where it stands', async () => {
      const user = await AoUser.of('0.0.98', { network, door: indirect })
      const process = await user.spawn('aos')
      const marked = `only here: ${process}`
      await user.evaluate(process, `Marked = "${marked}"`)
      const url = `${network.units(indirect).CU.httpUrl}/cu/state/${process}`
      const answer = await fetch(url)
      assert.equal(answer.status, 200)
      assert.equal(answer.headers.get('last-ordinate'), '1')
      assert.ok(Math.abs(Number(answer.headers.get('last-timestamp')) - Date.now()) < 60_000)
      assert.ok(Number(answer.headers.get('last-block-height')) >= 1_500_000)
      const memory = Buffer.from(await answer.arrayBuffer())
      assert.equal(memory.length % 65_536, 0)
      assert.ok(memory.includes(marked))
      assert.equal((await fetch(`${url}?to=1`)).status, 404, 'before it was there')

      const then = answer.headers.get('last-timestamp')
      await user.evaluate(process, `Later = "later than: ${process}"`)
      const old = await fetch(`${url}?to=${then}`)
      assert.deepEqual([old.status, old.headers.get('last-ordinate')], [200, '1'])
      const before = Buffer.from(await old.arrayBuffer())
      assert.deepEqual([before.includes(marked), before.includes(`later than: ${process}`)], [true, false])
    })

    it('spawns a Process from a Process, which is told of its child by its own reference', async () => {
      const user = await AoUser.of('0.0.98', { network, door: indirect })
      const parent = await user.spawn('aos')
      await user.evaluate(
        parent,
        `Child = nil
         Handlers.add("spawned", Handlers.utils.hasMatchingTag("Action", "Spawned"), function (message)
           Child = message.Tags.Process
           Told = message.Tags.Reference ~= nil and message.From == ao.id
         end)
         Spawn("${network.modules.echo}", { Data = "born", Tags = { Authority = "${network.authority}" } })`,
      )
      const child = await eventually(
        'the news of the child',
        async () => {
          const text = await user.evaluate(parent, 'return tostring(Child)')
          return /^[A-Za-z0-9_-]{43}$/.test(text) ? text : undefined
        },
        30_000,
      )
      assert.equal(await user.evaluate(parent, 'return tostring(Told)'), 'true')
      assert.equal((await user.ao.result({ process: child, message: child })).Output, 'count 1')
    })

    it('lets two of them talk over three rounds', async () => {
      const user = await AoUser.of('0.0.98', { network, door: doors[0] as Door })
      const [a, b] = [await user.spawn('aos'), await user.spawn('aos')]
      await user.evaluate(
        b,
        `Handlers.add("ping", Handlers.utils.hasMatchingTag("Action", "Ping"), function (message)
           Send({ Target = message.From, Action = "Pong", Data = message.Data })
         end)`,
      )
      await user.evaluate(
        a,
        `Rounds = 0
         Handlers.add("pong", Handlers.utils.hasMatchingTag("Action", "Pong"), function (message)
           Rounds = Rounds + 1
           if Rounds < 3 then Send({ Target = message.From, Action = "Ping", Data = message.Data }) end
         end)`,
      )
      await user.evaluate(a, `Send({ Target = "${b}", Action = "Ping", Data = "1" })`)
      await eventually('three rounds', async () => (await user.evaluate(a, 'return Rounds')) === '3', 60_000)
    })
  })
}

for (const layout of triedLayouts) {
  describe(`aoconnect, unchanged, with ${layouts[layout].join(' and ')}`, function () {
    this.timeout(120_000)
    suite(layout)
  })
}

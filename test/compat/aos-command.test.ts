import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onPath } from '../../src/cli/commands/aos.ts'
import { AoUser } from './ao-client.ts'
import { AosTerminal } from './aos-terminal.ts'
import { LocalNetwork } from './local-network.ts'

const file = `local M = {}
function M.hello() return 'hello from a file' end
_G.package.loaded['chat'] = M
Handlers.add('hi', 'Hi', function (message) print('got ' .. message.Data) end)
return 'loaded'
`

/** Only where aos is installed: it is not part of this repository. The requests it makes are tried in any case. */
describe('the installed aos command line (2.x), started by `aonet aos`', function () {
  this.timeout(180_000)
  let network: LocalNetwork
  let dir: string
  before(async function () {
    if (!onPath('aos') || !onPath('script')) this.skip()
    network = await LocalNetwork.start()
    dir = await mkdtemp(join(tmpdir(), 'aonet-aos-'))
    writeFileSync(join(dir, 'chat.lua'), file)
  })
  after(async () => {
    await network?.stop()
    if (dir !== undefined) await rm(dir, { recursive: true, force: true })
  })

  const started: AosTerminal[] = []
  afterEach(() => {
    for (const aos of started.splice(0)) aos.kill()
  })
  const start = (name: string, ...rest: readonly string[]) => {
    const aos = new AosTerminal(
      [
        name,
        ...['--node', network.node('a node that only forwards').httpUrl, '--module', network.modules.aos],
        ...['--testnet', join(dir, 'testnet'), '--', ...rest],
      ],
      { cwd: dir },
    )
    started.push(aos)
    return aos
  }

  it('boots, prints what comes, evaluates, loads a file, and finds its Process again', async () => {
    const aos = start('alice', '--load', 'chat.lua')
    const boot = await aos.ready()
    assert.doesNotMatch(boot, /error/i)
    const process = /Your AOS Process: ([\w-]{43})/.exec(boot)?.[1] as string

    // Nothing may be typed before: a key stops the live print for a minute.
    const user = await AoUser.of('0.0.98', { network, door: 'a node with all roles' })
    await user.message(process, 'Hi', { data: 'a greeting' })
    await aos.shows(/got a greeting/)
    await aos.ready()

    await aos.types('1 + 41', /\b42\n/)
    await aos.types('error("on purpose")', /on purpose/)
    await aos.types('x = = 1', /unexpected symbol/)
    writeFileSync(join(dir, 'more.lua'), 'Count = (Count or 6) + 1; return "now " .. Count')
    await aos.types('.load more.lua', /now 7/)
    await aos.types('.dryrun', /Dryrun Mode Engaged/)
    await aos.types('Count = 0; return "gone"', /gone/)
    await aos.types('.dryrun', /Dryrun Mode Disengaged/)
    assert.equal(await aos.exit(), 0)

    const again = start('alice')
    assert.ok((await again.ready()).includes(process), 'by the file that aos keeps')
    await again.types('"still " .. Count', /still 7/)
    assert.equal(await again.exit(), 0)

    await network.onArweave(process)
    rmSync(join(dir, 'testnet', 'aos-home', '.aos-process-cache.json'))
    const searching = start('alice')
    assert.ok((await searching.ready()).includes(process), 'by its name, from Arweave')
    await searching.types('require("chat").hello()', /hello from a file/)
    assert.equal(await searching.exit(), 0)
  })
  it('talks to a node as to one of HyperBEAM, which is what aos does by itself', async () => {
    const node = network.node('a node with all roles')
    const aos = start('bob', '--no-legacy', '--url', node.httpUrl, '--authority', network.authority)
    assert.doesNotMatch(await aos.ready(), /error/i)
    await aos.types('Told = "by bob"; return 6 * 7', /\b42\n/)
    await aos.types('error("on purpose")', /on purpose/)
    await aos.types('.load chat.lua', /\bloaded\n/)
    await aos.types('Send({ Target = ao.id, Action = "Hi", Data = "itself" })', /got itself/)
    assert.equal(await aos.exit(), 0)
  })
})

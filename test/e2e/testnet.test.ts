import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseAo } from '../../src/economy/quantity.ts'
import { isAlive, type TestnetState } from '../../src/testnet/layout.ts'
import { eventually } from '../support/eventually.ts'
import { cliPath, runCli } from '../support/run-cli.ts'

interface Step {
  readonly title: string
  readonly lines: readonly string[]
}

/** Of `testnet status`. */
interface Row {
  readonly state: string
  readonly pid: number
}

describe('a newcomer', function () {
  this.timeout(180_000)
  let cwd: string
  before(() => {
    cwd = mkdtempSync(join(tmpdir(), 'aonet-e2e-'))
  })
  after(async () => {
    await runCli(['testnet', 'down'], { cwd, timeoutMs: 60_000 })
    rmSync(cwd, { recursive: true, force: true })
  })

  it('gets a network of separate processes that takes one message all the way, and leaves nothing running', async () => {
    const outcome = await runCli(['testnet', 'up', '--demo', '--exit', '--json'], { cwd, timeoutMs: 170_000 })
    assert.equal(outcome.code, 0, outcome.error)
    const steps = JSON.parse(outcome.out) as readonly Step[]
    const shown = (title: RegExp): string => {
      const step = steps.find(step => title.test(step.title))
      assert.ok(step, `no step ${title} in ${steps.map(step => step.title).join('; ')}`)
      return step.lines.join('\n')
    }
    assert.equal(shown(/find each other/).split('\n').length, 5)
    assert.match(shown(/^A evaluates/), /as nonce 1\nresult (42|count 2) {2}signed by (cu-1|cu-2|all-1)/)
    assert.ok(shown(/sends B a ping/).includes('A nonce'), 'no message was pushed')
    assert.match(shown(/killed/), /result (43|count \d+) {2}signed by/)
    assert.match(shown(/read back from Arweave/), /every signature good; nonces 0 to \d+ link/)
    const state = JSON.parse(readFileSync(join(cwd, '.aonet/testnet/testnet.json'), 'utf8')) as TestnetState
    assert.equal(isAlive(state.supervisor), false)
  })

  it('finds the processes of yesterday alive after a restart, through the commands of the README', async () => {
    const up = await runCli(['testnet', 'up', '--detach', '--json'], { cwd, timeoutMs: 120_000 })
    assert.equal(up.code, 0, up.error)
    const json = async (...args: string[]): Promise<Record<string, unknown>> => {
      const outcome = await runCli([...args, '--json'], { cwd, timeoutMs: 90_000 })
      assert.equal(outcome.code, 0, `${args.join(' ')}: ${outcome.error}`)
      return JSON.parse(outcome.out) as Record<string, unknown>
    }
    const { process } = (await json('spawn', '--name', 'counter')) as { process: string }
    const first = await json('eval', process, 'N = (N or 0) + 1; return N')
    assert.deepEqual(first['nonce'], 1)
    const aos = (await json('aos', 'me', '--print', '--module', process)) as {
      env: Record<string, string>
      command: string[]
    }
    assert.match(aos.env['MU_URL'] ?? '', /^http:\/\/127\.0\.0\.1:\d+\/mu$/)
    assert.equal(aos.command.filter(word => word === 'Authority').length, 2, 'one for each MU')
    await json('testnet', 'down')
    await runCli(['testnet', 'up', '--detach'], { cwd, timeoutMs: 120_000 })
    const again = await json('result', process, '1')
    assert.deepEqual(again['Output'], first['Output'])
    assert.deepEqual(again['stateRoot'], first['stateRoot'])
    const second = await json('eval', process, 'N = (N or 0) + 1; return N')
    assert.equal(second['nonce'], 2)
    assert.match(JSON.stringify(second['Output']), /2/)
    const dry = await runCli(['dry-run', process, '--action', 'Eval', '--data', 'N = 99; return N', '--json'], { cwd })
    assert.equal(dry.code, 0, dry.error)
    const old = ['--action', 'Eval', '--data', 'return N', '--to', String(first['message'])]
    assert.match(JSON.stringify((await json('dry-run', process, ...old))['Output']), /"1"/)
    assert.match(JSON.stringify((await json('eval', process, 'return N'))['Output']), /"2"|:2|\b2\b/)
    const killed = await json('testnet', 'kill', 'cu-1')
    const back = async () => {
      const rows = JSON.parse((await runCli(['testnet', 'status', '--json'], { cwd })).out) as readonly Row[]
      return rows.every(({ state }) => state === 'ready') && rows.every(({ pid }) => pid !== killed['pid'])
    }
    await eventually('a killed node is back', back, 60_000)
    const status = await runCli(['testnet', 'status'], { cwd })
    assert.equal(status.out.split('\n').filter(line => / ready /.test(line)).length, 5, status.out)
  })

  it('joins with an SU of his own by one line that the testnet printed, and it settles with AR of the faucet', async () => {
    const printed = readFileSync(join(cwd, '.aonet/testnet.log'), 'utf8')
    const line = printed.split('\n').findLast(text => /npx aonet init .* && npx aonet start /.test(text))
    assert.ok(line, printed.slice(-2_000))
    const [init = [], start = []] = line
      .replace('--roles CU', '--roles SU')
      .split(' && ')
      .map(part => part.trim().split(' ').slice(2))
    rmSync(join(cwd, 'my-node'), { recursive: true, force: true })
    const made = await runCli([...init, '--json'], { cwd })
    assert.equal(made.code, 0, made.error)
    const { address, wallet } = JSON.parse(made.out) as { address: string; wallet: string }
    const faucet = await runCli(['faucet', wallet, '10', '--ar'], { cwd })
    assert.match(faucet.out, new RegExp(`^10 AR for ${wallet}`), faucet.error)
    const child = spawn(process.execPath, [cliPath, ...start], { cwd, stdio: 'ignore' })
    try {
      const peers = async (): Promise<readonly { address: string; state: string; roles: string[] }[]> =>
        JSON.parse((await runCli(['peers', '--data-dir', 'su-1', '--json'], { cwd })).out || '[]')
      const found = async () => (await peers()).find(peer => peer.address === address)
      const seen = await eventually('the testnet knows it', () => found(), 60_000)
      assert.deepEqual(seen.roles, ['SU'])
      const spawned = await runCli(['spawn', '--scheduler', address], { cwd })
      assert.equal(spawned.code, 0, spawned.error)
      const settled = async (): Promise<boolean> => {
        const { out } = await runCli(['status', '--data-dir', 'my-node', '--json'], { cwd })
        return (JSON.parse(out) as { settler: { settled: number } }).settler.settled === 1
      }
      await eventually('what it ordered is settled', settled, 60_000)
    } finally {
      child.kill('SIGTERM')
      await once(child, 'exit')
    }
  })

  it('stakes for his SU, once however often it is said, and takes some of it back', async () => {
    const aonet = async (...args: string[]): Promise<string> => {
      const outcome = await runCli([...args, '--yes'], { cwd, timeoutMs: 60_000 })
      assert.equal(outcome.code, 0, `${args.join(' ')}: ${outcome.error}`)
      return outcome.out
    }
    const ask = async (...args: string[]): Promise<string> => (await runCli(args, { cwd, timeoutMs: 60_000 })).out
    const { address } = JSON.parse(await ask('keys', 'show', '--data-dir', 'my-node', '--json')) as { address: string }
    const before = parseAo((await ask('token', 'balance')).replace(' AO\n', ''))
    assert.match(await ask('faucet'), /^5000 AO for /)
    const register = ['stake', 'register', '--role', 'SU', '--data-dir', 'my-node', '--amount', '1000']
    const refused = async (args: readonly string[], code: RegExp): Promise<void> => {
      const { code: exit, error } = await runCli([...args, '--yes'], { cwd, timeoutMs: 60_000 })
      assert.equal(exit, 1)
      assert.match(error, code)
      assert.match(error, /→ /, error)
    }
    await refused([...register, '--commission', '9999'], /INVALID_ARGUMENT/)
    await refused(register.with(-1, '999'), /INSUFFICIENT_STAKE[\s\S]*minimum: 1000 AO/)
    await refused(register.with(-1, '9999999'), /INSUFFICIENT_BALANCE[\s\S]*needed: 9999999 AO/)
    await refused(register.with(5, 'nowhere'), /INVALID_CONFIG[\s\S]*aonet init/)
    await refused(['token', 'transfer', 'bob', '1'], /INVALID_ARGUMENT/)
    for (let i = 0; i < 2; i++) assert.match(await aonet(...register), / is registered with 1000 AO of /)
    const own = ['--role', 'SU', '--operator', address]
    await aonet('stake', 'bond', ...own, '--amount', '0.5')
    await refused(['stake', 'unbond', ...own, '--amount', '1000.6'], /INSUFFICIENT_BALANCE[\s\S]*stake: 1000.5 AO/)
    assert.match(await aonet('stake', 'unbond', ...own, '--amount', '0.2'), /^Released at height \d+; then/)
    const status = await ask('stake', 'status')
    assert.match(status, new RegExp(`SU {2}${address} {2}(pending|active) +1000.3 AO bonded, 1000.3 of its owner`))
    assert.match(status, /leaving: 0.2 AO from SU /)
    assert.match(await ask('stake', 'withdraw'), /^Nothing is released yet/)
    const after = parseAo((await ask('token', 'balance')).replace(' AO\n', ''))
    assert.ok(after >= before + parseAo('3999.5'), 'nothing was bonded twice')
    assert.match(await ask('slashes'), /^Nobody has been slashed/)
  })

  it('is told what was wrong with what was asked', async () => {
    const fails = async (args: readonly string[], code: RegExp): Promise<void> => {
      const outcome = await runCli(args, { cwd, timeoutMs: 60_000 })
      assert.equal(outcome.code, 1, outcome.out)
      assert.match(outcome.error, code)
      assert.match(outcome.error, /→ /, outcome.error)
      assert.doesNotMatch(outcome.error, /\n\s+at .*\.js:/)
    }
    const nobody = 'A'.repeat(43)
    await fails(['eval', nobody, '1'], /UNKNOWN_PROCESS/)
    await fails(['eval', 'short', '1'], /INVALID_ARGUMENT/)
    await fails(['spawn', '--scheduler', nobody], /PEER_UNREACHABLE/)
    await fails(['spawn', '--module', nobody, '--scheduler', 'x'], /INVALID_ARGUMENT/)
    await fails(['testnet', 'up'], /STORE_LOCKED/)
    await fails(['testnet', 'logs', 'nobody'], /INVALID_ARGUMENT/)
    await fails(['testnet', 'kill', 'nobody'], /INVALID_ARGUMENT/)
    const spawned = await runCli(['spawn', '--module', nobody, '--json'], { cwd })
    const { process } = JSON.parse(spawned.out) as { process: string }
    await fails(['result', process, '0'], /UNKNOWN_MODULE/)
    await fails(['result', process, '7'], /UNKNOWN_MESSAGE|UNKNOWN_MODULE/)
  })
})

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadKey } from '../../../src/node/keys.ts'
import { settingNames } from '../../../src/node/settings.ts'
import { cliPath, runCli } from '../../support/run-cli.ts'

describe('the command line', function () {
  this.timeout(60_000)
  let cwd: string
  beforeEach(() => {
    cwd = mkdtempSync(join(tmpdir(), 'aonet-cli-'))
  })
  afterEach(() => rmSync(cwd, { recursive: true, force: true }))

  const assertFailure = (outcome: Awaited<ReturnType<typeof runCli>>, code: string, cause: RegExp): void => {
    assert.equal(outcome.code, 1, outcome.error)
    assert.match(outcome.error, new RegExp(`\\(${code}\\)`))
    assert.match(outcome.error, cause)
    assert.match(outcome.error, /→ /, 'no next step is named')
    assert.doesNotMatch(outcome.error, /\n\s+at .*\.js:/, 'a stack trace is shown')
  }

  it('shows help with examples for every command', async () => {
    const { code, out } = await runCli(['--help'], { cwd })
    assert.equal(code, 0)
    const commands = [...out.matchAll(/^ {2}([a-z-]+) /gm)].map(([, name]) => name)
    for (const name of ['init', 'start', 'status', 'spawn', 'send', 'eval', 'result', 'dry-run', 'module', 'testnet']) {
      assert.ok(commands.includes(name), `${name} is not in the help`)
    }
  })

  it('answers a mistyped command or option with exit code 2', async () => {
    assert.equal((await runCli(['spwan'], { cwd })).code, 2)
    assert.equal((await runCli(['send'], { cwd })).code, 2)
    assert.equal((await runCli(['send', 'x', '--tag', 'novalue'], { cwd })).code, 2)
  })

  it('init writes a key only its owner may read and a commented configuration, and does not overwrite', async () => {
    const { code, out } = await runCli(['init', '--data-dir', 'n', '--insecure-plaintext-key', '--json'], { cwd })
    assert.equal(code, 0)
    const { address, wallet } = JSON.parse(out) as { address: string; wallet: string }
    assert.match(address, /^[\w-]{43}$/)
    for (const file of ['key.json', 'settlement-wallet.json']) {
      assert.equal(statSync(join(cwd, 'n', file)).mode & 0o777, 0o600)
    }
    assert.match(wallet, /^[\w-]{43}$/)
    const config = readFileSync(join(cwd, 'n', 'config.yaml'), 'utf8')
    for (const name of settingNames) assert.match(config, new RegExp(`^#? ?${name}:`, 'm'))
    assert.match(config, /^arweaveWallet: "n\/settlement-wallet.json"$/m)
    assertFailure(
      await runCli(['init', '--data-dir', 'n', '--insecure-plaintext-key'], { cwd }),
      'INVALID_ARGUMENT',
      /exists already/,
    )
  })

  it('init and keys keep the key under a passphrase, import a wallet, and give nothing away without it', async () => {
    assertFailure(await runCli(['init', '--data-dir', 'n'], { cwd }), 'INVALID_ARGUMENT', /a passphrase is needed/)
    writeFileSync(join(cwd, 'one'), 'correct horse\n', { mode: 0o600 })
    writeFileSync(join(cwd, 'two'), 'battery staple\n', { mode: 0o600 })
    const made = await runCli(['init', '--data-dir', 'n', '--passphrase-file', 'one', '--roles', 'SU', '--json'], {
      cwd,
    })
    const { address } = JSON.parse(made.out) as { address: string }
    assert.doesNotMatch(readFileSync(join(cwd, 'n', 'key.json'), 'utf8'), /"d"/)
    const keys = (...args: string[]) => runCli(['keys', ...args, '--data-dir', 'n', '--json'], { cwd })
    assert.deepEqual(JSON.parse((await keys('show')).out).encrypted, true)
    assert.match((await keys('export', 'out.json', '--passphrase-file', 'two')).error, /UNAUTHENTICATED/)
    assert.ok(!existsSync(join(cwd, 'out.json')))
    const changed = await keys('passphrase', '--passphrase-file', 'one', '--new-passphrase-file', 'two')
    assert.equal(changed.code, 0, changed.error)
    const wallet = loadKey(join(cwd, 'n', 'settlement-wallet.json'), '', 'battery staple')
    assert.deepEqual([wallet.encrypted, wallet.jwk['kty']], [true, 'RSA'])
    assert.equal((await keys('export', 'out.json', '--passphrase-file', 'two')).code, 0)
    assert.equal(statSync(join(cwd, 'out.json')).mode & 0o777, 0o600)
    const imported = await runCli(
      ['keys', 'import', 'out.json', '--data-dir', 'm', '--passphrase-file', 'one', '--json'],
      { cwd },
    )
    assert.equal((JSON.parse(imported.out) as { address: string }).address, address)
    assertFailure(await runCli(['start', '--data-dir', 'm'], { cwd }), 'INVALID_CONFIG', /none is given/)
  })

  it('module publish asks for the Module-Format of a file that does not show it', async () => {
    const nowhere = ['--arweave-url', 'http://127.0.0.1:1']
    for (const [file, bytes] of [
      ['notes.txt', 'not a module'],
      ['aos.wasm', Buffer.from('0061736d01000000', 'hex')],
    ] as const) {
      writeFileSync(join(cwd, file), bytes)
      const outcome = await runCli(['module', 'publish', file, ...nowhere], { cwd })
      assertFailure(outcome, 'INVALID_ARGUMENT', /does not show which Module-Format/)
    }
  })

  it('start names every mistake of a configuration at once', async () => {
    writeFileSync(join(cwd, 'c.yaml'), 'httpPort: many\nrolse: [SU]\n')
    assertFailure(
      await runCli(['start', '--config', 'c.yaml'], { cwd }),
      'INVALID_CONFIG',
      /httpPort[\s\S]*|rolse[\s\S]*did you mean roles/,
    )
  })

  it('start without a key says how to make one', async () => {
    assertFailure(await runCli(['start', '--data-dir', 'nothing'], { cwd }), 'INVALID_CONFIG', /there is no key file/)
  })

  it('start --print-config shows where flags and the environment lead', async () => {
    const { out } = await runCli(['start', '--print-config', '--json', '--http-port', '4321'], { cwd })
    assert.equal((JSON.parse(out) as { httpPort: number }).httpPort, 4321)
  })

  it('start says which port is taken', async () => {
    await runCli(['init', '--data-dir', 'n', '--insecure-plaintext-key', '--roles', 'MU'], { cwd })
    const blocker = createServer().listen(0, '127.0.0.1')
    await once(blocker, 'listening')
    const { port } = blocker.address() as { port: number }
    try {
      const args = ['start', '--data-dir', 'n', '--roles', 'MU', '--arweave-url', 'http://127.0.0.1:9']
      for (const flag of ['--http-port', '--grpc-port']) {
        assertFailure(await runCli([...args, flag, String(port)], { cwd }), 'PORT_IN_USE', new RegExp(String(port)))
      }
      assertFailure(
        await runCli([...args, '--p2p-listen', `/ip4/127.0.0.1/tcp/${port}`], { cwd }),
        'PORT_IN_USE',
        new RegExp(String(port)),
      )
    } finally {
      blocker.close()
    }
  })

  it('a node is asked by its data directory; a second one on the same is refused, and the first goes on', async () => {
    await runCli(['init', '--data-dir', 'n', '--insecure-plaintext-key', '--roles', 'MU'], { cwd })
    const args = ['start', '--data-dir', 'n', '--roles', 'MU', '--arweave-url', 'http://127.0.0.1:9']
    const first = spawn(process.execPath, [cliPath, ...args], { cwd })
    try {
      let log = ''
      for await (const chunk of first.stdout) {
        log += String(chunk)
        if (log.includes('"node-started"')) break
      }
      for (const named of [
        ['--data-dir', 'n'],
        ['--node', 'n'],
        ['--node', join(cwd, 'n')],
      ]) {
        const { out } = await runCli(['status', ...named, '--json'], { cwd })
        assert.equal((JSON.parse(out) as { pid: number }).pid, first.pid)
      }
      assertFailure(await runCli(args, { cwd }), 'STORE_LOCKED', /another/)
      assert.equal(first.exitCode, null)
    } finally {
      first.kill('SIGTERM')
      if (first.exitCode === null) await once(first, 'exit')
    }
    assert.equal(first.exitCode, 0)
    assert.ok(existsSync(join(cwd, 'n')))
  })

  it('commands for a network say so when there is none', async () => {
    assertFailure(
      await runCli(['spawn', '--module', 'A'.repeat(43)], { cwd }),
      'INVALID_ARGUMENT',
      /no node is named, and none is running here/,
    )
    assertFailure(await runCli(['testnet', 'status'], { cwd }), 'NOT_READY', /no testnet is running/)
    assertFailure(await runCli(['status', '--node', '127.0.0.1:9'], { cwd }), 'PEER_UNREACHABLE', /127\.0\.0\.1:9/)
    assertFailure(await runCli(['status', '--node', 'elsewhere'], { cwd }), 'PEER_UNREACHABLE', /elsewhere/)
  })
})

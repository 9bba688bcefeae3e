import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'yaml'
import { configFile, loadConfig } from '../../../src/node/config.ts'
import { environmentName, flagName } from '../../../src/node/settings.ts'

describe('node/config', () => {
  let directory: string
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'aonet-config-'))
  })
  after(() => rmSync(directory, { recursive: true }))

  const fileWith = (content: string): string => {
    const file = join(directory, 'config.yaml')
    writeFileSync(file, content)
    return file
  }

  it('takes flag over environment over file over default', () => {
    const file = fileWith('httpPort: 1\ngrpcPort: 1\nlogLevel: debug\n')
    const options = loadConfig({
      file,
      environment: { AONET_HTTP_PORT: '2', AONET_GRPC_PORT: '2' },
      flags: { httpPort: '3' },
    })
    assert.equal(options.httpPort, 3)
    assert.equal(options.grpcPort, 2)
    assert.equal(options.logLevel, 'debug')
    assert.equal(options.network, 'testnet')
  })

  it('reads lists from one line, in any case', () => {
    const { roles, bootstrap } = loadConfig({ environment: { AONET_ROLES: 'mu, SU', AONET_BOOTSTRAP: '/a,/b' } })
    assert.deepEqual(roles, ['MU', 'SU'])
    assert.deepEqual(bootstrap, ['/a', '/b'])
    assert.deepEqual(loadConfig({ flags: { roles: '' } }).roles, [])
  })

  it('tells all mistakes at once, and where each value came from', () => {
    const file = fileWith('httpPort: lots\nhtpPort: 1\n')
    assert.throws(
      () => loadConfig({ file, environment: { AONET_ROLES: 'king' } }),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, 'INVALID_CONFIG')
        assert.match(error.message, /3 mistakes/)
        assert.match(error.message, /htpPort \(in .*config\.yaml\) is not a setting/)
        assert.match(error.message, /httpPort \(from .*config\.yaml\)/)
        assert.match(error.message, /roles \(from AONET_ROLES\)/)
        return true
      },
    )
  })

  for (const [what, content] of [
    ['not YAML', 'a: [1\nb'],
    ['a list', '- 1\n- 2\n'],
    ['a sentence', 'hello'],
  ] as const) {
    it(`refuses a file that is ${what}`, () => {
      assert.throws(() => loadConfig({ file: fileWith(content) }), { code: 'INVALID_CONFIG' })
    })
  }

  it('refuses a file that is not there, naming the next step', () => {
    assert.throws(() => loadConfig({ file: join(directory, 'none.yaml') }), {
      code: 'INVALID_CONFIG',
      hint: /aonet init/,
    })
  })

  it('writes a file that reads back as what was written', () => {
    const options = { ...loadConfig({}), httpPort: 1234, bootstrap: ['/ip4/127.0.0.1/tcp/1'] }
    assert.deepEqual(loadConfig({ file: fileWith(configFile(options)) }), options)
    assert.deepEqual(parse(configFile({ httpPort: 5 })), { httpPort: 5 })
  })

  it('names a setting for the environment and the command line', () => {
    assert.equal(environmentName('p2pListen'), 'AONET_P2P_LISTEN')
    assert.equal(flagName('settleEveryMs'), 'settle-every-ms')
  })
})

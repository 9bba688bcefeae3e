import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { parse } from 'yaml'
import { environmentName, flagName, settingNames } from '../../src/node/settings.ts'
import { freePorts } from '../../src/testnet/ports.ts'
import { withTempDir } from '../support/builders.ts'
import { eventually } from '../support/eventually.ts'

const slow = process.env['AONET_SLOW_TESTS'] === '1'
const root = fileURLToPath(new URL('../../../', import.meta.url))
const deploy = (name: string): string => readFileSync(join(root, 'scripts/deploy', name), 'utf8')
const run = promisify(execFile)

describe('files to run a node for good', () => {
  it('have a systemd unit that systemd takes, with flags that there are', async function () {
    const execStart = /^ExecStart=(.*)$/m.exec(deploy('aonet.service'))?.[1] ?? ''
    const flags = [...execStart.matchAll(/ --([a-z0-9-]+)/g)].map(([, flag]) => flag)
    assert.deepEqual(flags, ['config', 'key-passphrase-file'])
    for (const flag of flags.slice(1))
      assert.ok(
        settingNames.some(name => flagName(name) === flag),
        flag,
      )
    const verified = await run('systemd-analyze', ['verify', join(root, 'scripts/deploy/aonet.service')]).catch(
      (error: NodeJS.ErrnoException & { stderr?: string }) => error,
    )
    if ('code' in verified && verified.code === 'ENOENT') this.skip() // no systemd on this machine
    // Where the program itself is not installed, that is all there is to say.
    const complaints = (verified.stderr ?? '')
      .split('\n')
      .filter(line => line !== '' && !/is not executable/.test(line))
    assert.deepEqual(complaints, [])
  })

  it('have a compose file whose settings, ports and secret are those of the image', () => {
    const { services, secrets, volumes } = parse(deploy('compose.yaml')) as Compose
    const { environment, ports, secrets: used, volumes: mounted } = services.node
    const known = new Set<string>(settingNames.map(environmentName))
    assert.deepEqual(
      Object.keys(environment).filter(name => !known.has(name)),
      [],
    )
    const inside = ports.map(port => port.split(':').at(-1))
    assert.deepEqual(inside, /^EXPOSE (.*)$/m.exec(deploy('Dockerfile'))?.[1]?.split(' '))
    const set = [
      environment['AONET_P2P_LISTEN']?.split('/').at(-1),
      environment['AONET_GRPC_PORT'],
      environment['AONET_HTTP_PORT'],
    ]
    assert.deepEqual(set, inside)
    assert.deepEqual(
      used.map(name => `/run/secrets/${name}`),
      [environment['AONET_KEY_PASSPHRASE_FILE']],
    )
    assert.deepEqual(Object.keys(secrets), used)
    assert.deepEqual(mounted, [`${Object.keys(volumes)[0]}:${environment['AONET_DATA_DIR']}`])
  })

  const build = slow ? it : it.skip
  build('have an image whose steps, done one by one in a clean directory, give a node that is healthy', () =>
    withTempDir(async directory => {
      const image = await new Image(directory).build()
      const passphrase = join(directory, 'passphrase')
      writeFileSync(passphrase, 'of the test')
      const data = join(directory, 'data')
      const [grpc = 0, http = 0] = await freePorts(2)
      const aonet = [join(image.place('/opt/aonet'), 'dist/src/cli/main.js')]
      const env = { PATH: process.env['PATH'], NODE_ENV: 'production', AONET_KEY_PASSPHRASE_FILE: passphrase }
      const init = ['init', '--yes', '--data-dir', data, '--passphrase-file', passphrase]
      await run(process.execPath, [...aonet, ...init], { env, cwd: directory })
      const flags = ['--roles', '', '--grpc-port', String(grpc), '--http-port', String(http)]
      const node = spawn(process.execPath, [...aonet, 'start', '--config', join(data, 'config.yaml'), ...flags], {
        env,
      })
      let log = ''
      node.stdout.on('data', part => (log += String(part)))
      node.stderr.on('data', part => (log += String(part)))
      try {
        const [command = '', ...args] = image.healthcheck.map(word => word.replace('8734', String(http)))
        const healthy = (): Promise<boolean> =>
          run(command, args).then(
            () => true,
            () => false,
          )
        await eventually('it is healthy', healthy, 40_000).catch(error => assert.fail(`${error}\n${log}`))
      } finally {
        node.kill('SIGTERM')
        await once(node, 'exit')
      }
    }),
  ).timeout(300_000)
})

interface Compose {
  readonly services: {
    readonly node: {
      readonly environment: Readonly<Record<string, string>>
      readonly ports: readonly string[]
      readonly secrets: readonly string[]
      readonly volumes: readonly string[]
    }
  }
  readonly secrets: object
  readonly volumes: object
}

/** The steps of the Dockerfile, each done below a directory as it would be done in the image. */
class Image {
  readonly #directory: string
  healthcheck: readonly string[] = []
  #stage = ''
  #workdir = '/'

  constructor(directory: string) {
    this.#directory = directory
  }

  /** Where a path of the last stage lies on this machine. */
  place(path: string): string {
    return join(this.#directory, this.#stage, path)
  }

  async build(): Promise<this> {
    const lines = deploy('Dockerfile').replace(/\\\n/g, ' ').split('\n')
    for (const line of lines) {
      const [step = '', rest = ''] = line.split(/ (.*)/s)
      if (step === 'FROM') this.#stage = / AS (\w+)$/.exec(rest)?.[1] ?? 'last'
      else if (step === 'WORKDIR') this.#enter(rest)
      else if (step === 'COPY') this.#copy(rest.split(' '))
      else if (step === 'HEALTHCHECK') this.healthcheck = JSON.parse(rest.slice(rest.indexOf('['))) as string[]
      else if (step === 'RUN') for (const command of rest.split(' && ')) await this.#run(command)
    }
    this.#workdir = '/'
    return this
  }

  #enter(path: string): void {
    this.#workdir = path
    mkdirSync(this.place(path), { recursive: true })
  }

  #copy(words: readonly string[]): void {
    const from = /^--from=(\w+)$/.exec(words[0] ?? '')?.[1]
    const sources = words.slice(from === undefined ? 0 : 1, -1)
    const target = words.at(-1) ?? ''
    for (const source of sources) {
      const path = from === undefined ? join(root, source) : join(this.#directory, from, source)
      const into = target.endsWith('/') ? join(target, basename(source)) : target
      cpSync(path, this.place(join(this.#workdir, into)), { recursive: true, verbatimSymlinks: true })
    }
  }

  /** What changes the machine itself is left out, and packages come from where they are installed already. */
  async #run(command: string): Promise<void> {
    if (/^(apt-get|rm -rf \/var|useradd|ln -s)/.test(command)) return
    const cwd = this.place(this.#workdir)
    if (command === 'npm ci') {
      await run('cp', ['-al', join(root, 'node_modules'), join(cwd, 'node_modules')])
      rmSync(join(cwd, 'node_modules/.package-lock.json'))
      cpSync(join(root, 'node_modules/.package-lock.json'), join(cwd, 'node_modules/.package-lock.json'))
      return
    }
    const here = command.replaceAll('/opt/aonet', this.place('/opt/aonet'))
    const env = { ...process.env, npm_config_offline: 'true', npm_config_audit: 'false' }
    await run('sh', ['-ec', here], { cwd, env, maxBuffer: 1 << 26 })
  }
}

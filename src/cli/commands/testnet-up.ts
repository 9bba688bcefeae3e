import { spawn } from 'node:child_process'
import { mkdirSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { sleep } from '../../lib/abort.ts'
import { AoError } from '../../lib/errors.ts'
import { tcpMultiaddr } from '../../lib/reachable-host.ts'
import { faults, type NodeOptions } from '../../node/settings.ts'
import type { Tag } from '../../protocol/tags.ts'
import { loopback, readState, type TestnetState } from '../../testnet/layout.ts'
import { fetchStatus, isWhole, nodeUrl, statusTable } from '../../testnet/node-status.ts'
import { defaultShape } from '../../testnet/shape.ts'
import { lastLines } from '../../testnet/supervised.ts'
import { LiveScreen } from '../../testnet/table.ts'
import { collectTag, testnetDirectory } from '../arguments.ts'
import { type OutputOptions, printResult } from '../output.ts'
import { stopAsked } from '../run.ts'

interface UpOptions extends OutputOptions {
  readonly dir: string
  readonly demo?: boolean
  readonly exit?: boolean
  readonly fresh?: boolean
  readonly detach?: boolean
  readonly nodes?: string
  readonly host?: string
  readonly blockMs: string
  readonly fault?: readonly Tag[]
}

export const upCommand = (): Command =>
  testnetDirectory(new Command('up'))
    .description('Start it and keep it running until Ctrl-C, with a live table.')
    .option('--demo', 'then take one message through the whole network, step by step')
    .option('--exit', 'stop everything once it is up (and the demonstration is over)')
    .option('--fresh', 'throw away the data of an earlier run first')
    .option('--nodes <counts>', `how many of each kind (as before, or ${defaultShape})`)
    .option('--host <address>', 'address of this machine that nodes elsewhere join at (as before, or 127.0.0.1)')
    .option('--fault <node=fault>', 'let a node misbehave, such as all-1=double-sign; repeat for more', collectTag)
    .option('--detach', 'leave it running in the background')
    .option('--block-ms <milliseconds>', 'time between blocks of the embedded Arweave', '1000')
    .addHelpText(
      'after',
      '\nExamples:\n  aonet testnet up --demo --exit\n  aonet testnet up --nodes su=2,cu=4,mu=2\n  aonet testnet up --host 0.0.0.0   # other machines can join',
    )
    .action((options: UpOptions) => (options.detach === true ? detach(options) : up(options)))

async function up(options: UpOptions): Promise<void> {
  const screen = new LiveScreen()
  const say = (text: string): void => {
    if (options.json !== true) screen.line(text)
  }
  const { Testnet } = await import('../../testnet/testnet.ts')
  const testnet = new Testnet({
    directory: options.dir,
    blockMs: blockTime(options),
    fresh: options.fresh === true,
    shape: options.nodes,
    host: options.host,
    faults: faultsOf(options),
    onProgress: say,
  })
  const stopped = stopAsked()
  let running = true
  try {
    say('Starting a network of separate processes on this machine …')
    await testnet.up()
    const redraw = async (): Promise<void> => {
      while (running) {
        if (options.json !== true) screen.draw(`\n${statusTable(await testnet.rows())}`)
        await sleep(1000)
      }
    }
    const drawing = screen.live ? redraw() : Promise.resolve()
    if (options.demo === true) {
      const { runDemo } = await import('../../testnet/demo.ts')
      const shown = await Promise.race([runDemo(testnet, say), stopped])
      if (options.json === true && shown !== undefined) printResult('', shown.steps, options)
      if (options.exit !== true && shown !== undefined) {
        say(['\nTry next, in another terminal:', ...shown.tryNext].join('\n  '))
      }
    }
    if (options.exit !== true) {
      say(hint(testnet.state, options.dir))
      await stopped
    }
    running = false
    await drawing
  } finally {
    running = false
    say('Stopping …')
    await testnet.down()
  }
}

function hint({ arweave, nodes, origin }: TestnetState, directory: string): string {
  const [entry] = nodes.filter(({ roles }) => roles.includes('MU'))
  const http = entry === undefined ? '' : nodeUrl(entry)
  return [
    '',
    `The network is up; its data is in ${directory}. Ctrl-C stops it.`,
    'In another terminal: npx aonet testnet status · npx aonet spawn · npx aonet --help',
    'A node of your own joins with (--roles MU for another role):',
    joinLine({ arweave, nodes, origin }),
    `For aoconnect and aos: MU_URL=${http}/mu CU_URL=${http}/cu GATEWAY_URL=${arweave.url}`,
  ].join('\n')
}

/** One line that makes a node of a newcomer and starts it. */
function joinLine({ arweave, nodes, origin }: Pick<TestnetState, 'arweave' | 'nodes' | 'origin'>): string {
  const host = nodes[0]?.host ?? loopback
  const bootstrap = tcpMultiaddr(host, nodes[0]?.ports.p2p ?? 0)
  // A node on another machine has to be reached by those on this one.
  const elsewhere = host === loopback ? '' : ' --host 0.0.0.0'
  // Part of the network's parameters: without it the node would be of another network.
  const token = origin === undefined ? '' : ` --origin ${origin.process}`
  const init = `npx aonet init --yes --insecure-plaintext-key --data-dir my-node --roles CU`
  return `  ${init} --bootstrap ${bootstrap} --arweave-url ${arweave.url}${token}${elsewhere} && npx aonet start --config my-node/config.yaml`
}

async function detach(options: UpOptions): Promise<void> {
  const log = join(options.dir, '..', 'testnet.log')
  const { dir, blockMs, fresh, demo, fault, nodes, host } = options
  const args = [
    'testnet',
    'up',
    '--dir',
    dir,
    '--block-ms',
    blockMs,
    ...(fresh === true ? ['--fresh'] : []),
    ...(demo === true ? ['--demo'] : []),
    ...(nodes === undefined ? [] : ['--nodes', nodes]),
    ...(host === undefined ? [] : ['--host', host]),
    ...(fault ?? []).flatMap(({ name, value }) => ['--fault', `${name}=${value}`]),
  ]
  mkdirSync(join(options.dir, '..'), { recursive: true })
  const file = openSync(log, 'a')
  const child = spawn(process.execPath, [process.argv[1] ?? '', ...args], {
    detached: true,
    stdio: ['ignore', file, file],
  })
  child.unref()
  const deadline = Date.now() + 300_000 // each step of the start has its own, shorter one
  while (Date.now() < deadline && child.exitCode === null) {
    const state = readState(dir)
    if (state?.isUp === true && state.supervisor === child.pid) {
      const statuses = await Promise.all(state.nodes.map(node => fetchStatus(node)))
      if (isWhole(statuses)) {
        return printResult(
          `The network is up in the background; its data is in ${dir}. Stop it with \`aonet testnet down\`.`,
          { supervisor: child.pid },
          options,
        )
      }
    }
    await sleep(200)
  }
  throw new AoError(
    'NOT_READY',
    `the testnet did not come up:\n${lastLines(log)}`,
    { log },
    { hint: `All that it said is in ${log}.` },
  )
}

function blockTime({ blockMs }: UpOptions): number {
  if (/^[0-9]{2,8}$/.test(blockMs)) return Number(blockMs)
  throw new AoError('INVALID_ARGUMENT', '--block-ms is not a number of milliseconds', { value: blockMs })
}

function faultsOf({ fault = [] }: UpOptions): Readonly<Record<string, NodeOptions['fault']>> {
  const known = fault.map(({ name, value }): readonly [string, NodeOptions['fault']] => {
    const found = faults.find(one => one === value)
    if (found !== undefined) return [name, found]
    throw new AoError('INVALID_ARGUMENT', 'there is no such fault', { node: name, fault: value }, { hint: faultHint })
  })
  return Object.fromEntries(known)
}

const faultHint = `Faults are ${faults.join(', ')}.`

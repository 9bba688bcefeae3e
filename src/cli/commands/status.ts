import { Command } from 'commander'
import { sleep } from '../../lib/abort.ts'
import type { NodeConnection } from '../../network/grpc/connect.ts'
import { formatTable, LiveScreen } from '../../testnet/table.ts'
import { asMember } from '../connect.ts'
import { inWords, type OutputOptions, printResult } from '../output.ts'
import { stopAsked } from '../run.ts'
import { type NodeChoice, nodeEndpoint, nodeFlag, nodeHelp } from '../which-node.ts'

const watchMs = 1_000

interface StatusOptions extends NodeChoice, OutputOptions {
  readonly dataDir?: string
  readonly watch?: boolean
}

export const statusCommand = (): Command =>
  new Command('status')
    .description('What a node says of itself and of the units it knows.')
    .option(nodeFlag, nodeHelp)
    .option('--data-dir <directory>', 'data directory of a node on this machine, the same as --node <directory>')
    .option('--testnet <directory>', 'directory of the testnet to look for')
    .option('--watch', 'show it anew every second until Ctrl-C')
    .action(async ({ dataDir, ...options }: StatusOptions) => {
      const endpoint = await nodeEndpoint({ ...options, node: options.node ?? dataDir })
      const { connectNode } = await import('../../network/grpc/connect.ts')
      if (options.watch !== true) return show(await connectNode(endpoint, asMember()), options)
      const screen = new LiveScreen()
      const stopped = stopAsked()
      for (let running = true; running; ) {
        const node = await connectNode(endpoint, asMember())
        const { text } = await statusOf(node).finally(() => node.close())
        if (screen.live) screen.draw(text)
        else process.stdout.write(`${text}\n\n`)
        running = await Promise.race([stopped.then(() => false), sleep(watchMs).then(() => true)])
      }
    })

async function show(node: NodeConnection, options: OutputOptions): Promise<void> {
  try {
    const { text, value } = await statusOf(node)
    printResult(text, value, options)
  } finally {
    await node.close()
  }
}

async function statusOf(node: NodeConnection): Promise<{ readonly text: string; readonly value: unknown }> {
  const units = await node.listUnits()
  const facts = Object.entries(node.info.status).map(([name, value]) => `${name.padEnd(12)} ${inWords(value)}`)
  const table = formatTable(
    ['UNIT', 'ROLES', 'LOAD %', 'GRPC', 'EXPIRES IN S'],
    units.map(({ address, roles, load, grpc, expiresAt }) => [
      address,
      roles.join('+'),
      load ?? '-',
      grpc,
      Math.round((expiresAt - Date.now()) / 1000),
    ]),
  )
  const value = {
    ...node.info.status,
    unitRecords: units.map(({ raw: _, certificate: __, ...record }) => record),
  }
  return { text: [...facts, '', table].join('\n'), value }
}

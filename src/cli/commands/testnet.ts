import { createReadStream, existsSync, statSync, watchFile } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { sleep } from '../../lib/abort.ts'
import { AoError } from '../../lib/errors.ts'
import { isAlive, readState, runningState } from '../../testnet/layout.ts'
import { fetchStatus, statusTable } from '../../testnet/node-status.ts'
import { testnetDirectory } from '../arguments.ts'
import { type OutputOptions, printResult } from '../output.ts'
import { stopAsked } from '../run.ts'
import { upCommand } from './testnet-up.ts'

export const testnetCommand = (): Command =>
  new Command('testnet')
    .description('A whole network on this machine: an embedded Arweave, and nodes as processes of their own.')
    .addCommand(upCommand())
    .addCommand(downCommand())
    .addCommand(testnetStatusCommand())
    .addCommand(logsCommand())
    .addCommand(killCommand())

const downCommand = (): Command =>
  testnetDirectory(new Command('down'))
    .description('Stop the testnet that runs in this directory.')
    .action(async (options: { dir: string } & OutputOptions) => {
      const { supervisor } = runningState(options.dir)
      process.kill(supervisor, 'SIGTERM')
      const deadline = Date.now() + 40_000
      while (isAlive(supervisor)) {
        if (Date.now() > deadline) {
          throw new AoError(
            'DEADLINE',
            'the testnet did not stop',
            { supervisor },
            { hint: `End it with: kill -9 ${supervisor}` },
          )
        }
        await sleep(100)
      }
      printResult('The testnet has stopped.', { stopped: supervisor }, options)
    })

const testnetStatusCommand = (): Command =>
  testnetDirectory(new Command('status'))
    .description('The table of all nodes, and where the embedded Arweave is.')
    .action(async (options: { dir: string } & OutputOptions) => {
      const { nodes, arweave } = runningState(options.dir)
      const rows = await Promise.all(
        nodes.map(async node => {
          const status = await fetchStatus(node)
          const pid = typeof status?.['pid'] === 'number' ? status['pid'] : undefined
          return {
            node,
            state: status === undefined ? 'down' : status['ready'] === true ? 'ready' : 'starting',
            pid,
            status,
          }
        }),
      )
      printResult(`${statusTable(rows)}\n\nembedded Arweave, the gateway of its clients: ${arweave.url}`, rows, options)
    })

const logsCommand = (): Command =>
  testnetDirectory(new Command('logs'))
    .description("Print a node's log.")
    .argument('[node]', 'such as su-1, or arweave', 'su-1')
    .option('-f, --follow', 'go on as it grows')
    .action(async (node: string, options: { dir: string; follow?: boolean }) => {
      const file = join(options.dir, node, 'node.log')
      if (!existsSync(file)) {
        const names = ['arweave', ...(readState(options.dir)?.nodes ?? []).map(({ name }) => name)].join(', ')
        throw new AoError(
          'INVALID_ARGUMENT',
          `there is no log of ${node}`,
          { file },
          { hint: `The nodes are: ${names}.` },
        )
      }
      let at = 0
      const print = async (): Promise<void> => {
        const { size } = statSync(file)
        if (size <= at) return
        const from = at
        at = size
        for await (const chunk of createReadStream(file, { start: from, end: size - 1 })) process.stdout.write(chunk)
      }
      await print()
      if (options.follow !== true) return
      watchFile(file, { interval: 200 }, () => void print())
      await stopAsked()
      process.exit(0)
    })

const killCommand = (): Command =>
  testnetDirectory(new Command('kill'))
    .description('Kill a node as a power cut would, to see the others go on without it. It is started again at once.')
    .argument('<node>', 'such as cu-1')
    .action(async (name: string, options: { dir: string } & OutputOptions) => {
      const { nodes } = runningState(options.dir)
      const node = nodes.find(node => node.name === name)
      const names = nodes.map(({ name }) => name).join(', ')
      if (node === undefined)
        throw new AoError('INVALID_ARGUMENT', `there is no node ${name}`, {}, { hint: `The nodes are: ${names}.` })
      const pid = (await fetchStatus(node))?.['pid']
      if (typeof pid !== 'number')
        throw new AoError(
          'NOT_READY',
          `${name} does not answer`,
          {},
          { hint: 'It is down or just starting: try again.' },
        )
      process.kill(pid, 'SIGKILL')
      printResult(`${name} is killed; \`aonet testnet status\` shows when it is back.`, { node: name, pid }, options)
    })

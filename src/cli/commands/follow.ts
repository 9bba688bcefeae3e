import { Command } from 'commander'
import type { Client } from '../../client/client.ts'
import { AoError } from '../../lib/errors.ts'
import type { ScheduledMessage } from '../../protocol/assignment.ts'
import type { Nonce, ProcessId } from '../../protocol/ids.ts'
import { type Result, resultToJson } from '../../protocol/result.ts'
import { tagValue } from '../../protocol/tags.ts'
import { processArgument } from '../arguments.ts'
import { type ConnectOptions, connectClient } from '../connect.ts'
import { exitCodes, type OutputOptions, printResult, progress } from '../output.ts'
import { stopAsked } from '../run.ts'
import { nodeOption, outputText } from './process.ts'

interface FollowFlags extends ConnectOptions, OutputOptions {
  readonly last: string
  readonly count?: string
}

export const followCommand = (): Command =>
  nodeOption(new Command('follow').argument('<process>', 'id of the Process'))
    .description('Print each message of a Process and what it gave, as they come, until Ctrl-C.')
    .option('--last <n>', 'begin with so many that are there already', '0')
    .option('--count <n>', 'end after so many')
    .addHelpText('after', '\nExample:\n  aonet follow <process> --last 5')
    .action(async (process: string, flags: FollowFlags) => {
      const client = await connectClient(flags)
      try {
        await follow(client, processArgument(process), flags)
      } finally {
        await client.close()
      }
    })

async function follow(client: Client, process: ProcessId, flags: FollowFlags): Promise<void> {
  const [last, count] = [
    wholeOf(flags.last, 'last'),
    flags.count === undefined ? undefined : wholeOf(flags.count, 'count'),
  ]
  const stop = new AbortController()
  void stopAsked().then(() => stop.abort())
  const { nonce } = await client.assignment(process, 'newest', stop)
  const from = Math.max(0, nonce + 1 - last) as Nonce
  const to = count === undefined ? undefined : ((from + count - 1) as Nonce)
  if (to !== undefined && to < from) return
  progress(`following from nonce ${from} on; Ctrl-C ends it`, flags)
  try {
    for await (const row of client.schedule(process, { from, to, follow: true }, stop)) {
      const { result } = await client.result(process, row.assignment.nonce, stop)
      printRow(row, result, flags)
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error
    globalThis.process.exitCode = exitCodes.interrupted
  }
}

function printRow({ assignment, message }: ScheduledMessage, result: Result, flags: FollowFlags): void {
  const { nonce, timestamp } = assignment
  const from = message === undefined ? 'assigned' : (tagValue(message.tags, 'From-Process') ?? message.owner)
  const action = message === undefined ? undefined : tagValue(message.tags, 'Action')
  const said = result.error === undefined ? outputText(result.output) : `Error: ${result.error}`
  const head = [
    new Date(timestamp).toISOString(),
    `nonce ${nonce}`,
    `from ${from}`,
    ...(action === undefined ? [] : [action]),
  ]
  const lines = said === '' ? [] : said.split('\n').map(line => `  ${line}`)
  const value = { nonce, message: assignment.message, from, action, timestamp, ...resultToJson(result) }
  printResult([head.join('  '), ...lines].join('\n'), value, flags)
}

function wholeOf(text: string, name: string): number {
  if (/^[0-9]{1,9}$/.test(text)) return Number(text)
  throw new AoError('INVALID_ARGUMENT', `--${name} is not a whole number`, { [name]: text.slice(0, 32) })
}

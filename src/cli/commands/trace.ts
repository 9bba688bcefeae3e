import { Command } from 'commander'
import type { Trace } from '../../ports/trace.ts'
import type { MessageId } from '../../protocol/ids.ts'
import { messageOrNonce, processArgument } from '../arguments.ts'
import { exitCodes, printResult } from '../output.ts'
import { traceText } from '../trace-text.ts'
import { type TalkOptions, talking, withClient } from './process.ts'

const message = ['<message>', 'id of the message, or its nonce'] as const

export const traceCommand = (): Command =>
  talking(new Command('trace').argument('<process>', 'id of the Process').argument(...message))
    .description('Show where a message and all that it set off are, who signed what, and why anything waits or failed.')
    .addHelpText(
      'after',
      '\nThe exit code is 0 if nothing waits or failed, else 1.\n\nExample:\n  aonet trace <process> <message>',
    )
    .action(async (process: string, at: string, options: TalkOptions) =>
      withClient(options, async (client, signal) => {
        const trace = await client.trace(processArgument(process), messageOrNonce(at), { signal })
        printResult(traceText(trace), trace, options)
        if (!isClear(trace)) exit()
      }),
    )

export const crankCommand = (): Command =>
  talking(new Command('crank').argument('<process>', 'id of the Process').argument(...message))
    .description(
      'Have an MU push what a message sent: when the MU that had it is gone, or has given up. What is pushed already stays so.',
    )
    .action(async (process: string, at: string, options: TalkOptions) =>
      withClient(options, async (client, signal) => {
        const id = processArgument(process)
        const found = messageOrNonce(at)
        const message: MessageId =
          typeof found === 'number' ? (await client.assignment(id, found, { signal })).message : found
        await client.crank(id, message, { signal })
        printResult(
          `an MU has taken it up; see how it goes with: aonet trace ${id} ${message}`,
          { process: id, message },
          options,
        )
      }),
    )

const isClear = ({ problems, silent, cut }: Trace): boolean => problems.length === 0 && silent.length === 0 && !cut

const exit = (): void => {
  process.exitCode = exitCodes.failed
}

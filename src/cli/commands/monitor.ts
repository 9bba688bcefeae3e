import { Command } from 'commander'
import { processArgument } from '../arguments.ts'
import { printResult } from '../output.ts'
import { type TalkOptions, talking, withClient } from './process.ts'

export const monitorCommand = (): Command =>
  talking(new Command('monitor').argument('<process>', 'id of the Process'))
    .description('Have an MU push what the cron messages of a Process send, from now on.')
    .addHelpText('after', '\nA Process has cron messages by the tag Cron-Interval of its spawn, such as 10-minutes.')
    .action(async (process: string, options: TalkOptions) =>
      withClient(options, async (client, signal) => {
        const id = processArgument(process)
        await client.monitor(id, { signal })
        printResult('its cron messages are pushed from now on', { process: id, monitored: true }, options)
      }),
    )

export const unmonitorCommand = (): Command =>
  talking(new Command('unmonitor').argument('<process>', 'id of the Process'))
    .description('End what `aonet monitor` began.')
    .action(async (process: string, options: TalkOptions) =>
      withClient(options, async (client, signal) => {
        const id = processArgument(process)
        await client.unmonitor(id, { signal })
        printResult('its cron messages are pushed no more', { process: id, monitored: false }, options)
      }),
    )

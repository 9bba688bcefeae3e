import { join } from 'node:path'
import { Command, Option } from 'commander'
import { stringify } from 'yaml'
import { armFailpoint } from '../../lib/failpoint.ts'
import { loadConfig, printableConfig } from '../../node/config.ts'
import { environmentName, flagName, type NodeOptions, settingNames, settings } from '../../node/settings.ts'
import { type OutputOptions, printResult } from '../output.ts'
import { runUntilStopped } from '../run.ts'
import { version } from '../version.ts'

interface StartOptions extends OutputOptions {
  readonly config?: string
  readonly printConfig?: boolean
}

export function startCommand(): Command {
  const command = new Command('start')
    .description('Run a node until Ctrl-C. Logs are JSON lines on standard output.')
    .option('--config <file>', 'configuration file, as `aonet init` writes it')
    .option('--print-config', 'print the effective settings and stop')
  for (const name of settingNames) {
    const { help, initial } = settings[name]
    const shown = Array.isArray(initial) ? initial.join(',') : String(initial)
    command.addOption(new Option(`--${flagName(name)} <value>`, `${help} [${shown}] (${environmentName(name)})`))
  }
  return command.action(async (flags: StartOptions & Partial<NodeOptions>) => {
    const options = loadConfig({
      file: flags.config,
      environment: process.env,
      flags: flags as Record<string, unknown>,
    })
    if (flags.printConfig === true) {
      const printable = printableConfig(options)
      return printResult(stringify(printable).trimEnd(), printable, flags)
    }
    const crashAt = process.env['AONET_FAILPOINT']
    if (crashAt !== undefined) armFailpoint(crashAt, () => process.kill(process.pid, 'SIGKILL'))
    const { createNode } = await import('../../node/node.ts')
    const node = createNode(options, { version, keyFile: join(options.dataDir, 'key.json') })
    await runUntilStopped(node)
  })
}

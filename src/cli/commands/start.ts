import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Command, Option } from 'commander'
import { stringify } from 'yaml'
import { armFailpoint } from '../../lib/failpoint.ts'
import { loadConfig, printableConfig } from '../../node/config.ts'
import {
  environmentName,
  flagName,
  type NodeOptions,
  type Setting,
  settingNames,
  settings,
} from '../../node/settings.ts'
import { type OutputOptions, printResult } from '../output.ts'
import { askSecret, canAsk } from '../prompt.ts'
import { runUntilStopped } from '../run.ts'
import { version } from '../version.ts'

interface StartOptions extends OutputOptions {
  readonly config?: string
  readonly printConfig?: boolean
}

export function startCommand(): Command {
  const command = new Command('start')
    .description('Run a node until Ctrl-C. It logs to standard output: readable lines on a terminal, else JSON lines.')
    .option('--config <file>', 'configuration file, as `aonet init` writes it')
    .option('--print-config', 'print the effective settings and stop')
  for (const name of settingNames) {
    const { help, initial, secret } = settings[name] as Setting<unknown>
    if (secret === true) continue // every user of a machine sees what stands on a command line
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
    const keyFile = join(options.dataDir, 'key.json')
    const node = createNode(await withPassphrase(options, keyFile), { version, keyFile })
    await runUntilStopped(node)
  })
}

/** Asks for the passphrase of the key where one is needed, none is given, and somebody sits there. */
async function withPassphrase(options: NodeOptions, keyFile: string): Promise<NodeOptions> {
  const { keyPassphrase, keyPassphraseFile, remoteSigner } = options
  const given = keyPassphrase !== '' || keyPassphraseFile !== '' || remoteSigner !== ''
  if (given || !canAsk() || !existsSync(keyFile)) return options
  const { isEncryptedKey } = await import('../../node/keys.ts')
  if (!isEncryptedKey(keyFile, 'Make one with `aonet init`.')) return options
  return { ...options, keyPassphrase: await askSecret(`Passphrase of ${keyFile}`) }
}

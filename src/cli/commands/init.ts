import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { AoError } from '../../lib/errors.ts'
import { configFile } from '../../node/config.ts'
import { createKey } from '../../node/keys.ts'
import { settings } from '../../node/settings.ts'
import { type OutputOptions, printResult } from '../output.ts'

interface InitOptions extends OutputOptions {
  readonly dataDir: string
  readonly force?: boolean
}

export const initCommand = (): Command =>
  new Command('init')
    .description('Make a data directory with a key and a commented configuration file.')
    .option('--data-dir <directory>', settings.dataDir.help, settings.dataDir.initial)
    .option('--force', 'write the configuration anew; the key is never replaced')
    .addHelpText('after', '\nExample:\n  aonet init --data-dir my-node && aonet start --config my-node/config.yaml')
    .action((options: InitOptions) => {
      const { dataDir } = options
      const config = join(dataDir, 'config.yaml')
      if (existsSync(config) && options.force !== true) {
        throw new AoError(
          'INVALID_ARGUMENT',
          `${config} exists already`,
          { file: config },
          {
            hint: 'Edit it, or write it anew with --force.',
          },
        )
      }
      mkdirSync(dataDir, { recursive: true })
      const key = join(dataDir, 'key.json')
      const { address } = createKey(key, 'ed25519').signer
      writeFileSync(config, configFile({ dataDir }))
      const text = [
        `address  ${address}`,
        `key      ${key} (not encrypted; only you may read it; keep a copy in a safe place)`,
        `config   ${config}`,
        '',
        'Next: set `bootstrap` and `arweaveUrl` in the configuration, then',
        `  aonet start --config ${config}`,
      ].join('\n')
      printResult(text, { address, key, config }, options)
    })

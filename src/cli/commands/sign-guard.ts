import { existsSync, writeFileSync } from 'node:fs'
import { Command } from 'commander'
import { AoError } from '../../lib/errors.ts'
import { readUserFile } from '../arguments.ts'
import { type OutputOptions, printResult } from '../output.ts'

interface Options extends OutputOptions {
  readonly dataDir: string
}

/** Moves what a scheduler has promised to another machine, so that its key signs nothing twice. */
export const signGuardCommand = (): Command =>
  new Command('sign-guard')
    .description('Move a scheduler to another data directory without its key signing twice.')
    .addCommand(
      new Command('export')
        .description('Write what the key has signed to a file. This directory then needs --confirm-moved to start.')
        .argument('<file>')
        .requiredOption('--data-dir <directory>', 'data directory of the stopped node')
        .action(async (file: string, options: Options) => {
          if (existsSync(file)) throw new AoError('INVALID_ARGUMENT', 'the file is there already', { file })
          const { exportFrom } = await import('../../node/move-guard.ts')
          let processes = 0
          await exportFrom(options.dataDir, exported => {
            writeFileSync(file, `${JSON.stringify(exported)}\n`, { mode: 0o600, flag: 'wx' })
            processes = exported.floors.length
          })
          printResult(`Exported ${processes} Processes to ${file}.`, { file, processes }, options)
        }),
    )
    .addCommand(
      new Command('import')
        .description('Take over from a file: no Process is ordered before its whole schedule is in the log here.')
        .argument('<file>')
        .requiredOption('--data-dir <directory>', 'data directory of the stopped node, with the same key')
        .action(async (file: string, options: Options) => {
          const { importInto } = await import('../../node/move-guard.ts')
          await importInto(options.dataDir, readJson(file))
          printResult(`Imported ${file}.`, { file }, options)
        }),
    )

function readJson(file: string): unknown {
  const text = readUserFile(file).toString('utf8')
  try {
    return JSON.parse(text)
  } catch (cause) {
    const hint = 'Give what `aonet sign-guard export` wrote.'
    throw new AoError('INVALID_ARGUMENT', 'the file is not JSON', { file }, { cause, hint })
  }
}

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { AoError } from '../../lib/errors.ts'
import { silentLogger } from '../../lib/telemetry.ts'
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
          const count = await withGuard(options, async ({ node, marks, guarded, address, store }) => {
            const exported = await node.exportSignGuard(guarded, address)
            writeFileSync(file, `${JSON.stringify(exported)}\n`, { mode: 0o600, flag: 'wx' })
            await marks.retireMark(store)
            return exported.floors.length
          })
          printResult(`Exported ${count} Processes to ${file}.`, { file, processes: count }, options)
        }),
    )
    .addCommand(
      new Command('import')
        .description('Take over from a file: no Process is ordered before its whole schedule is in the log here.')
        .argument('<file>')
        .requiredOption('--data-dir <directory>', 'data directory of the stopped node, with the same key')
        .action(async (file: string, options: Options) => {
          const json = readJson(file)
          await withGuard(options, ({ node, guarded, address }) => node.importSignGuard(guarded, address, json))
          printResult(`Imported ${file}.`, { file }, options)
        }),
    )

async function withGuard<T>({ dataDir }: Options, use: (opened: Opened) => Promise<T>): Promise<T> {
  const { loadKey } = await import('../../node/keys.ts')
  const node = await import('../../node/sign-guard.ts')
  const marks = await import('../../storage/directory-mark.ts')
  const { openStore } = await import('../../storage/level.ts')
  const { LevelAssignmentLog } = await import('../../storage/level-assignment-log.ts')
  const { LevelSignGuard } = await import('../../storage/level-sign-guard.ts')
  const { signer } = loadKey(join(dataDir, 'key.json'), `Make one with: aonet init --data-dir ${dataDir}`)
  const store = await openStore(join(dataDir, 'store'), { log: silentLogger })
  try {
    const guarded = { log: new LevelAssignmentLog(store), guard: new LevelSignGuard(store) }
    return await use({ node, marks, store, guarded, address: signer.address })
  } finally {
    await store.close()
  }
}

interface Opened {
  readonly node: typeof import('../../node/sign-guard.ts')
  readonly marks: typeof import('../../storage/directory-mark.ts')
  readonly store: import('../../storage/store.ts').Store
  readonly guarded: import('../../node/sign-guard.ts').GuardedLog
  readonly address: import('../../protocol/ids.ts').Address
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch (cause) {
    throw new AoError('INVALID_ARGUMENT', 'the file cannot be read as JSON', { file }, { cause })
  }
}

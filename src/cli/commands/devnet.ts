import { Command } from 'commander'
import { systemClock } from '../../lib/clock.ts'
import { AoError } from '../../lib/errors.ts'
import { runUntilStopped } from '../run.ts'

interface DevnetFlags {
  readonly dataDir: string
  readonly host: string
  readonly port: string
  readonly blockMs: string
}

export const devnetCommand = (): Command =>
  new Command('devnet')
    .description(
      'Run the embedded Arweave alone: transactions, bundles, blocks on a timer and GraphQL, for trying things.',
    )
    .option('--data-dir <directory>', 'directory of its database', '.aonet/devnet')
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--port <port>', 'port to listen on; 0 takes any free one', '1984')
    .option('--block-ms <milliseconds>', 'time between blocks', '2000')
    .action(async ({ dataDir, host, port, blockMs }: DevnetFlags) => {
      const [{ Devnet }, { createTelemetry }] = await Promise.all([
        import('../../devnet/devnet.ts'),
        import('../../node/telemetry.ts'),
      ])
      const telemetry = createTelemetry({ level: 'info', node: 'devnet' })
      const options = {
        dataDir,
        host,
        port: wholeFlag('port', port),
        blockMs: wholeFlag('block-ms', blockMs),
        network: 'aonet.devnet',
      }
      await runUntilStopped(new Devnet({ ...telemetry, clock: systemClock }, options))
    })

function wholeFlag(name: string, text: string): number {
  if (/^[0-9]{1,9}$/.test(text)) return Number(text)
  throw new AoError('INVALID_ARGUMENT', `--${name} is not a whole number`, { value: text })
}

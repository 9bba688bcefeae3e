#!/usr/bin/env node
import '../lib/polyfill.ts'
import { Command, CommanderError } from 'commander'
import { aosCommand } from './commands/aos.ts'
import { completionsCommand } from './commands/completions.ts'
import { devnetCommand } from './commands/devnet.ts'
import { evidenceCommand } from './commands/evidence.ts'
import { followCommand } from './commands/follow.ts'
import { initCommand } from './commands/init.ts'
import { keysCommand } from './commands/keys.ts'
import { moduleCommand } from './commands/module.ts'
import { monitorCommand, unmonitorCommand } from './commands/monitor.ts'
import { logsCommand, peersCommand } from './commands/peers.ts'
import { dryRunCommand, evalCommand, resultCommand, sendCommand, spawnCommand } from './commands/process.ts'
import { signGuardCommand } from './commands/sign-guard.ts'
import { slashesCommand, stakeCommand } from './commands/stake.ts'
import { startCommand } from './commands/start.ts'
import { statusCommand } from './commands/status.ts'
import { testnetCommand } from './commands/testnet.ts'
import { faucetCommand, tokenCommand } from './commands/token.ts'
import { crankCommand, traceCommand } from './commands/trace.ts'
import { exitCodes, printFailure } from './output.ts'
import { version } from './version.ts'

const program = new Command('aonet')
  .description('A peer-to-peer network of AO units: order, evaluate, deliver and settle messages.')
  .version(version)
  .option('--json', 'print JSON, for programs')
  .showHelpAfterError('(see --help)')
  .exitOverride()
  .addHelpText(
    'after',
    `
Examples:
  aonet testnet up --demo          a whole network on this machine, and one message through it
  aonet spawn --name counter       a new Process on the running testnet
  aonet eval <process> '1 + 1'     evaluate Lua in it
  aonet init && aonet start        a node of your own`,
  )

for (const command of [
  initCommand(),
  startCommand(),
  keysCommand(),
  peersCommand(),
  logsCommand(),
  statusCommand(),
  spawnCommand(),
  sendCommand(),
  evalCommand(),
  resultCommand(),
  dryRunCommand(),
  followCommand(),
  traceCommand(),
  crankCommand(),
  monitorCommand(),
  unmonitorCommand(),
  moduleCommand(),
  aosCommand(),
  signGuardCommand(),
  tokenCommand(),
  stakeCommand(),
  slashesCommand(),
  faucetCommand(),
  evidenceCommand(),
  testnetCommand(),
  devnetCommand(),
]) {
  program.addCommand(shareJson(command))
}

program.addCommand(shareJson(completionsCommand(program)))

try {
  await program.parseAsync()
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? exitCodes.ok : exitCodes.usage
  } else {
    printFailure(error, program.opts())
    process.exitCode = exitCodes.failed
  }
}

/** `--json` may stand before or after the command's name. */
function shareJson(command: Command): Command {
  command.option('--json', 'print JSON, for programs').exitOverride().showHelpAfterError('(see --help)')
  command.hook('preAction', (_, action) => {
    if (action.opts()['json'] === true) program.setOptionValue('json', true)
    else action.setOptionValue('json', program.opts()['json'])
  })
  for (const child of command.commands) shareJson(child)
  return command
}

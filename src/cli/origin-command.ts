import { createInterface } from 'node:readline/promises'
import type { Command } from 'commander'
import type { Client } from '../client/client.ts'
import { OriginClient } from '../client/origin.ts'
import { AoError, type ErrorCode } from '../lib/errors.ts'
import { type ProcessId, parseId } from '../protocol/ids.ts'
import { runningTestnet } from '../testnet/layout.ts'
import { type TalkOptions, talking, withClient } from './commands/process.ts'
import { type ConnectOptions, walletAddress } from './connect.ts'

/** Options of every command about the token and stakes. */
export interface OriginOptions extends TalkOptions {
  readonly origin?: string
  readonly yes?: boolean
}

export const originTalking = (command: Command): Command =>
  talking(command).option('--origin <id>', 'AO-Sec Origin of the network; by default the one that the node follows')

/** For what cannot be taken back at once. */
export const confirmed = (command: Command): Command => originTalking(command).option('-y, --yes', 'do not ask')

/** Connects and finds AO-Sec Origin. */
export async function withOrigin(
  options: OriginOptions,
  work: (origin: OriginClient, signal: AbortSignal, address: string) => Promise<void>,
): Promise<void> {
  await withClient(options, async (client, signal) => {
    try {
      await work(new OriginClient(client, originOf(options, client)), signal, client.address)
    } catch (error) {
      throw withAdvice(error)
    }
  })
}

const advice: Readonly<Partial<Record<ErrorCode, string>>> = {
  INSUFFICIENT_BALANCE: 'See `aonet token balance` and `aonet stake status`; on a testnet `aonet faucet` gives tokens.',
  INSUFFICIENT_STAKE:
    'Bond more first: `aonet stake bond`; the least is 1,000 AO for an SU, 250 for a CU, 100 for an MU.',
}

/** What to do next, where AO-Sec Origin knows nothing of this command line. */
function withAdvice(error: unknown): unknown {
  if (!(error instanceof AoError) || error.hint !== undefined) return error
  const { code, message, facts, cause } = error
  return new AoError(code, message, facts, { cause, hint: advice[code] })
}

/** The one named, else that of the node's network. @throws AoError `INVALID_ARGUMENT` if there is none. */
export function originOf(options: ConnectOptions & { readonly origin?: string }, { node }: Client): ProcessId {
  const { economy } = node.info.status as { readonly economy?: { readonly origin: string } }
  const id = options.origin ?? process.env['AONET_ORIGIN'] ?? economy?.origin
  if (id !== undefined) return parseId<ProcessId>(id, 'origin')
  throw new AoError(
    'INVALID_ARGUMENT',
    'no AO-Sec Origin is named, and the network of this node has none',
    {},
    { hint: 'Name the Process with --origin, or start a testnet with `aonet testnet up`.' },
  )
}

/** The address that a command signs with. */
export const ownAddress = (options: ConnectOptions): string => walletAddress(options, runningTestnet(options.testnet))

/** Asks on a terminal; elsewhere `--yes` has to be there. @throws AoError `ABORTED` */
export async function confirm(question: string, { yes, json }: OriginOptions): Promise<void> {
  if (yes === true) return
  if (!process.stdin.isTTY || json === true) {
    throw new AoError('ABORTED', `not done: ${question}`, {}, { hint: 'Say --yes if that is what you want.' })
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  const answer = await terminal.question(`${question} [y/N] `)
  terminal.close()
  if (!/^y(es)?$/i.test(answer.trim())) throw new AoError('ABORTED', 'not done')
}

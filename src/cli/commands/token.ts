import { Command } from 'commander'
import { noticeValue } from '../../client/origin.ts'
import { formatAo, parseAo } from '../../economy/quantity.ts'
import { AoError, hasCode } from '../../lib/errors.ts'
import { parseAddress } from '../../protocol/ids.ts'
import { runningTestnet } from '../../testnet/layout.ts'
import { confirm, confirmed, type OriginOptions, originTalking, ownAddress, withOrigin } from '../origin-command.ts'
import { printResult } from '../output.ts'

export const tokenCommand = (): Command =>
  new Command('token')
    .description('The AO token of this network: balances, transfers, emission. Amounts are in AO.')
    .addCommand(balanceCommand())
    .addCommand(transferCommand())
    .addCommand(simpleCommand('claim', 'Claim', 'Put what you have earned into your balance.'))
    .addCommand(
      simpleCommand(
        'mint',
        'Mint',
        'Bring the emission up to now. Anybody may; it costs nothing and gives the caller nothing.',
      ),
    )
    .addCommand(supplyCommand())

const balanceCommand = (): Command =>
  originTalking(new Command('balance').argument('[account]', 'whose; by default that of your wallet'))
    .description('Print a balance, earned tokens included.')
    .action((account: string | undefined, options: OriginOptions) =>
      withOrigin(options, async (origin, signal, own) => {
        const of = parseAddress(account ?? own, 'account')
        const quantity = await origin.ask('Balance', { Recipient: of }, { signal })
        printResult(`${formatAo(BigInt(quantity))} AO`, { account: of, quantity }, options)
      }),
    )

const transferCommand = (): Command =>
  confirmed(new Command('transfer').argument('<account>').argument('<amount>', 'in AO, such as 2.5'))
    .description('Send tokens. There is no way back.')
    .addHelpText('after', '\nExample:\n  aonet token transfer <address> 2.5')
    .action((account: string, amount: string, options: OriginOptions) =>
      withOrigin(options, async (origin, signal) => {
        const [to, quantity] = [parseAddress(account, 'account'), parseAo(amount)]
        await confirm(`Send ${formatAo(quantity)} AO to ${to}?`, options)
        await origin.act('Transfer', { Recipient: to, Quantity: String(quantity) }, { signal })
        printResult(`Sent ${formatAo(quantity)} AO to ${to}.`, { to, quantity: String(quantity) }, options)
      }),
    )

const simpleCommand = (name: string, action: string, description: string): Command =>
  originTalking(new Command(name))
    .description(description)
    .action((options: OriginOptions) =>
      withOrigin(options, async (origin, signal) => {
        const notices = await origin.act(action, {}, { signal })
        const quantity = noticeValue(notices, `${action}-Notice`, 'Quantity') ?? '0'
        const cycle = noticeValue(notices, `${action}-Notice`, 'To-Cycle')
        const upTo = cycle === undefined ? '' : `, up to cycle ${cycle}`
        printResult(`${formatAo(BigInt(quantity))} AO${upTo}`, { quantity, cycle }, options)
      }),
    )

const supplyCommand = (): Command =>
  originTalking(new Command('supply'))
    .description('Print what is minted, burned and left to mint.')
    .action((options: OriginOptions) =>
      withOrigin(options, async (origin, signal) => {
        const info = JSON.parse(await origin.ask('Info', {}, { signal })) as Readonly<Record<string, string>>
        const rows = ['Supply', 'Minted', 'Burned', 'Cap', 'Insurance', 'Slashed'].map(
          name => `${name.toLowerCase().padEnd(10)} ${formatAo(BigInt(info[name] ?? 0)).padStart(24)} AO`,
        )
        rows.push(`cycle      ${info['Cycle']} (${info['Cycles-Behind']} behind)`)
        printResult(rows.join('\n'), info, options)
      }),
    )

interface FaucetOptions extends OriginOptions {
  readonly ar?: boolean
  readonly arweaveUrl?: string
}

/** Gives away tokens of a testnet. */
export const faucetCommand = (): Command =>
  originTalking(
    new Command('faucet')
      .argument('[account]', 'who gets them; by default your wallet')
      .argument('[amount]', 'in AO', '5000'),
  )
    .description('Get tokens on a testnet, or AR of the embedded Arweave.')
    .option('--ar', 'AR, which pays for settlement, in place of AO')
    .option('--arweave-url <url>', "embedded Arweave to ask for AR; by default the running testnet's")
    .addHelpText('after', '\nExample:\n  aonet faucet\n  aonet faucet <address of a wallet> 10 --ar')
    .action(async (account: string | undefined, amount: string, options: FaucetOptions) => {
      if (options.ar === true) return giveAr(account, amount, options)
      const faucet = runningTestnet(options.testnet)?.origin?.faucet
      if (faucet === undefined) {
        throw new AoError(
          'NOT_READY',
          'only a testnet on this machine has a faucet',
          {},
          { hint: 'Start one: aonet testnet up' },
        )
      }
      const [to, quantity] = [parseAddress(account ?? ownAddress(options), 'account'), parseAo(amount)]
      await withOrigin({ ...options, wallet: faucet }, async (origin, signal) => {
        await origin.act('Transfer', { Recipient: to, Quantity: String(quantity) }, { signal }).catch(error => {
          if (!hasCode(error, 'INSUFFICIENT_BALANCE')) throw error
          throw new AoError(error.code, 'the faucet has less than that', error.facts, { hint: 'Ask for less.' })
        })
      })
      printResult(`${formatAo(quantity)} AO for ${to}.`, { to, quantity: String(quantity) }, options)
    })

async function giveAr(account: string | undefined, amount: string, options: FaucetOptions): Promise<void> {
  const url = options.arweaveUrl ?? runningTestnet(options.testnet)?.arweave.url
  if (url === undefined) {
    const hint = 'Start a testnet with `aonet testnet up`, or name the embedded Arweave of one with --arweave-url.'
    throw new AoError('NOT_READY', 'no testnet is running here', {}, { hint })
  }
  const to = parseAddress(account ?? ownAddress(options))
  const winston = parseAo(amount) // both have twelve digits
  const response = await fetch(`${url}/mint/${to}/${winston}`, { signal: AbortSignal.timeout(10_000) }).catch(cause => {
    throw new AoError('PEER_UNREACHABLE', 'the embedded Arweave does not answer', { url }, { cause })
  })
  if (!response.ok) {
    const hint = 'Only the embedded Arweave gives AR away: `aonet testnet up`, `aonet devnet`.'
    throw new AoError('PEER_UNREACHABLE', 'no AR is given away there', { url, status: response.status }, { hint })
  }
  printResult(`${formatAo(winston)} AR for ${to}.`, { to, winston: String(winston) }, options)
}

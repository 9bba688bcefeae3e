import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Command, Option } from 'commander'
import { noticeValue, type OriginClient } from '../../client/origin.ts'
import { formatAo, inAo, parseAo } from '../../economy/quantity.ts'
import { AoError } from '../../lib/errors.ts'
import type { EconomyParams } from '../../protocol/economy-params.ts'
import { parseAddress } from '../../protocol/ids.ts'
import { confirm, confirmed, type OriginOptions, originTalking, ownAddress, withOrigin } from '../origin-command.ts'
import { printResult } from '../output.ts'

interface StakeOptions extends OriginOptions {
  readonly role: string
  readonly operator: string
  readonly amount: string
  readonly all?: boolean
  readonly dataDir: string
  readonly commission?: string
}

/** As AO-Sec Origin tells of an operator. */
interface OperatorJson {
  readonly role: string
  readonly operator: string
  readonly owner: string
  readonly standing: string
  readonly tokens: string
  readonly self: string
  readonly jailedUntil: number
  readonly activeAt?: number | undefined
}
interface StakesJson {
  readonly bonded: readonly {
    readonly role: string
    readonly operator: string
    readonly shares: string
    readonly tokens: string
  }[]
  readonly unbonding: readonly {
    readonly role: string
    readonly operator: string
    readonly release: number
    readonly tokens: string
  }[]
}

export const stakeCommand = (): Command =>
  new Command('stake')
    .description('Stake for a unit. Your wallet owns the stake; the unit’s own key answers for what it signs.')
    .addCommand(registerCommand())
    .addCommand(bondCommand('bond', 'Bond tokens to a unit.'))
    .addCommand(bondCommand('delegate', 'Bond tokens to somebody else’s unit: you share its fees and its slashes.'))
    .addCommand(unbondCommand())
    .addCommand(withdrawCommand())
    .addCommand(unjailCommand())
    .addCommand(statusCommand())

const role = (command: Command): Command =>
  command.addOption(new Option('--role <role>', 'what the unit does').choices(['SU', 'CU', 'MU']).makeOptionMandatory())
const unit = (command: Command): Command => role(command).requiredOption('--operator <address>', 'address of the unit')

const registerCommand = (): Command =>
  role(confirmed(new Command('register')))
    .description('Register the unit, with its stake; again to have more at stake, or another commission.')
    .requiredOption('--data-dir <directory>', 'data directory of the unit, for its key')
    .option('--amount <ao>', 'self-stake that it is to have, in AO; what is missing is bonded first')
    .option('--commission <bps>', 'what the owner keeps of delegators’ fees, in basis points; 0 at first')
    .addHelpText('after', '\nExample:\n  aonet stake register --role SU --data-dir my-node --amount 1000')
    .action((options: StakeOptions) => register(options))

/** The unit's key is opened first: nothing is bonded to a unit that then cannot be registered. */
async function register(options: StakeOptions): Promise<void> {
  const { role: of, commission, dataDir } = options
  const wallet = join(dataDir, 'key.json')
  if (!existsSync(wallet)) {
    const hint = `Make one with: aonet init --data-dir ${dataDir}`
    throw new AoError('INVALID_CONFIG', 'there is no key in the data directory of the unit', { file: wallet }, { hint })
  }
  const owner = ownAddress(options)
  await withOrigin({ ...options, wallet }, async (asUnit, signal, operator) => {
    await checkCommission(asUnit, commission, signal)
    if (options.amount !== undefined)
      await withOrigin(options, asOwner => bondMissing(asOwner, { options, operator, signal }))
    const fields = { Role: of, 'Owner-Account': owner, Commission: commission }
    await asUnit.act('Register-Operator', fields, { signal })
    const now = JSON.parse(await asUnit.ask('Operator', { Role: of, Operator: operator }, { signal })) as OperatorJson
    const { Height: height } = JSON.parse(await asUnit.ask('Info', {}, { signal })) as { Height: string }
    const text = `${of} ${operator} is registered with ${formatAo(BigInt(now.self))} AO of ${owner}${whenActive(now, height)}.`
    printResult(text, { operator, owner, role: of, standing: now.standing, activeAt: now.activeAt }, options)
  })
}

/** Before anything is bonded: a wrong commission must not leave a stake without a registration. */
async function checkCommission(origin: OriginClient, bps: string | undefined, signal: AbortSignal): Promise<void> {
  if (bps === undefined) return
  const { maxCommissionBps: most } = JSON.parse(await origin.ask('Params', {}, { signal })) as EconomyParams
  if (/^[0-9]{1,5}$/.test(bps) && Number(bps) <= most) return
  const hint = `Give a whole number from 0 to ${most}; 100 is one percent.`
  throw new AoError('INVALID_ARGUMENT', 'the commission is out of range', { commission: bps.slice(0, 32) }, { hint })
}

/** So that whoever tries again, after whatever went wrong, does not bond twice. */
async function bondMissing(
  origin: OriginClient,
  { options, operator, signal }: { options: StakeOptions; operator: string; signal: AbortSignal },
): Promise<void> {
  const { bonded } = JSON.parse(await origin.ask('Stakes', {}, { signal })) as StakesJson
  const own = bonded.find(row => row.role === options.role && row.operator === operator)
  const missing = parseAo(options.amount) - BigInt(own?.tokens ?? 0)
  if (missing <= 0n) return
  await confirm(`Bond ${formatAo(missing)} AO to ${options.role} ${operator}? ${await terms(origin, signal)}`, options)
  await origin.act('Stake', { Role: options.role, Operator: operator, Quantity: String(missing) }, { signal })
}

const whenActive = ({ standing, activeAt }: Pick<OperatorJson, 'standing' | 'activeAt'>, height: string): string =>
  standing === 'pending' ? `; it counts from height ${activeAt} (now ${height})` : ''

const bondCommand = (name: string, description: string): Command =>
  unit(confirmed(new Command(name)))
    .requiredOption('--amount <ao>', 'in AO')
    .description(description)
    .action((options: StakeOptions) =>
      withOrigin(options, async (origin, signal) => {
        const quantity = parseAo(options.amount)
        const operator = parseAddress(options.operator, 'operator')
        await confirm(
          `Bond ${formatAo(quantity)} AO to ${options.role} ${operator}? ${await terms(origin, signal)}`,
          options,
        )
        await origin.act('Stake', { Role: options.role, Operator: operator, Quantity: String(quantity) }, { signal })
        printResult(`Bonded ${formatAo(quantity)} AO.`, { operator, quantity: String(quantity) }, options)
      }),
    )

const unbondCommand = (): Command =>
  unit(confirmed(new Command('unbond')))
    .option('--amount <ao>', 'in AO')
    .option('--all', 'all of it')
    .description('Begin to take a stake back. It can still be slashed until it is released.')
    .action((options: StakeOptions) =>
      withOrigin(options, async (origin, signal) => {
        const { bonded } = JSON.parse(await origin.ask('Stakes', {}, { signal })) as StakesJson
        const stake = bonded.find(row => row.role === options.role && row.operator === options.operator)
        if (stake === undefined)
          throw new AoError('INSUFFICIENT_BALANCE', 'your wallet has no such stake', { operator: options.operator })
        const [tokens, all] = [BigInt(stake.tokens), BigInt(stake.shares)]
        if (options.all !== true && options.amount === undefined)
          throw new AoError('INVALID_ARGUMENT', 'say --amount or --all')
        const wanted = options.all === true ? tokens : parseAo(options.amount)
        if (wanted > tokens)
          throw new AoError('INSUFFICIENT_BALANCE', 'your stake there is smaller than that', { stake: inAo(tokens) })
        const shares = wanted === tokens ? all : (wanted * all) / tokens
        const warning = await stopsBelow(origin, { options, left: tokens - wanted, signal })
        await confirm(`Take ${formatAo(wanted)} AO back? ${await terms(origin, signal)}${warning}`, options)
        const fields = { Role: options.role, Operator: options.operator, Shares: String(shares) }
        const notices = await origin.act('Unstake', fields, { signal })
        const release = noticeValue(notices, 'Unstake-Notice', 'Release-Height')
        printResult(
          `Released at height ${release}; then \`aonet stake withdraw\`.`,
          { release: Number(release) },
          options,
        )
      }),
    )

const withdrawCommand = (): Command =>
  originTalking(new Command('withdraw'))
    .description('Take out what has been released.')
    .action((options: OriginOptions) =>
      withOrigin(options, async (origin, signal) => {
        const quantity = noticeValue(await origin.act('Withdraw', {}, { signal }), 'Withdraw-Notice', 'Quantity') ?? '0'
        const text =
          quantity === '0'
            ? 'Nothing is released yet; `aonet stake status` shows what is on its way.'
            : `${formatAo(BigInt(quantity))} AO are back in your balance.`
        printResult(text, { quantity }, options)
      }),
    )

const unjailCommand = (): Command =>
  unit(originTalking(new Command('unjail')))
    .description('Go on after a term in jail.')
    .action((options: StakeOptions) =>
      withOrigin(options, async (origin, signal) => {
        await origin.act('Unjail', { Role: options.role, Operator: options.operator }, { signal })
        printResult('Active again with the next period.', { operator: options.operator }, options)
      }),
    )

const statusCommand = (): Command =>
  originTalking(new Command('status'))
    .description('All operators, and the stakes of your wallet.')
    .action((options: OriginOptions) =>
      withOrigin(options, async (origin, signal) => {
        const operators = (
          JSON.parse(await origin.ask('Operators', { Limit: '1000' }, { signal })) as [string, OperatorJson][]
        ).map(([, row]) => row)
        const stakes = JSON.parse(await origin.ask('Stakes', {}, { signal })) as StakesJson
        const { Height: height } = JSON.parse(await origin.ask('Info', {}, { signal })) as { Height: string }
        const lines = operators.map(
          ({ role: of, operator, standing, tokens, self, jailedUntil, activeAt }) =>
            `${of}  ${operator}  ${standing.padEnd(10)} ${formatAo(BigInt(tokens)).padStart(14)} AO bonded, ${formatAo(BigInt(self))} of its owner${standing === 'jailed' ? `; until height ${jailedUntil} (now ${height})` : whenActive({ standing, activeAt }, height)}`,
        )
        const own = stakes.bonded.map(
          row => `yours: ${formatAo(BigInt(row.tokens))} AO with ${row.role} ${row.operator}`,
        )
        const leaving = stakes.unbonding.map(
          row =>
            `leaving: ${formatAo(BigInt(row.tokens))} AO from ${row.role} ${row.operator}, released at height ${row.release} (now ${height})`,
        )
        const text = [
          ...(lines.length === 0 ? ['No unit has registered a stake yet.'] : lines),
          ...own,
          ...leaving,
        ].join('\n')
        printResult(text, { operators, ...stakes }, options)
      }),
    )

/** All verdicts and what they cost. */
export const slashesCommand = (): Command =>
  originTalking(new Command('slashes'))
    .description('Faults that were proven, and what was slashed for them.')
    .action((options: OriginOptions) =>
      withOrigin(options, async (origin, signal) => {
        const found = JSON.parse(await origin.ask('Slashes', { Limit: '1000' }, { signal })) as SlashesJson
        const challenges = JSON.parse(await origin.ask('Challenges', {}, { signal })) as ChallengesJson
        const lines = found.offences.map(([, row]) => offenceText(row, found))
        if (lines.length === 0) lines.push('Nobody has been slashed.')
        lines.push(
          ...challenges.map(
            ([, { role: of, accused, kind, dueAt }]) => `asked: ${of} ${accused}, ${kind}, until height ${dueAt}`,
          ),
          `burned ${formatAo(BigInt(found.burned))} AO, insurance fund ${formatAo(BigInt(found.insurance))} AO`,
        )
        printResult(lines.join('\n'), { ...found, challenges }, options)
      }),
    )

/** What was proven, in words, and what it costs. */
function offenceText(row: OffenceJson, { verdicts }: SlashesJson): string {
  const { at, role: of, operator, slashed, stakeAt, executed, reporter, paidReporter } = row
  const kinds = verdicts
    .map(([, verdict]) => verdict)
    .filter(verdict => verdict.role === of && verdict.operator === operator && verdict.class === row.class)
    .map(({ kind }) => kind)
  const what = [...new Set(kinds)].sort().map(kind => `${kind} ${faultNames[kind] ?? ''}`.trim())
  const cost = executed
    ? `lost ${formatAo(BigInt(slashed))} of ${formatAo(BigInt(stakeAt))} AO; ${formatAo(BigInt(paidReporter))} AO went to ${reporter}, who reported it`
    : `of ${formatAo(BigInt(stakeAt))} AO at stake nothing is taken yet: the slash waits`
  return `height ${at}  ${of} ${operator}\n  ${what.join(', ')}\n  ${cost}`
}

const faultNames: Readonly<Record<string, string>> = {
  F1: '(two messages under one number)',
  F1b: '(a log that does not link)',
  F2: '(an assignment that it did not show)',
  F3: '(a message left out)',
  F5: '(two results signed for one message)',
  F8: '(a message promised and not delivered)',
  F9: '(a block named that is not there)',
}

interface OffenceJson
  extends Readonly<
    Record<'role' | 'operator' | 'class' | 'slashed' | 'stakeAt' | 'reporter' | 'paidReporter', string>
  > {
  readonly at: number
  readonly executed: boolean
}
interface SlashesJson {
  readonly offences: readonly (readonly [string, OffenceJson])[]
  readonly verdicts: readonly (readonly [string, Readonly<Record<'kind' | 'role' | 'operator' | 'class', string>>])[]
  readonly burned: string
  readonly insurance: string
}

type ChallengesJson = readonly (readonly [
  string,
  { readonly role: string; readonly accused: string; readonly kind: string; readonly dueAt: number },
])[]

/** Says so where an owner is about to take its unit out of use. */
async function stopsBelow(
  origin: OriginClient,
  { options, left, signal }: { options: StakeOptions; left: bigint; signal: AbortSignal },
): Promise<string> {
  const { minStake } = JSON.parse(await origin.ask('Params', {}, { signal })) as EconomyParams
  const fields = { Role: options.role, Operator: options.operator }
  const { owner } = JSON.parse(await origin.ask('Operator', fields, { signal })) as Partial<OperatorJson>
  const minimum = BigInt(minStake[options.role as keyof typeof minStake])
  if (owner !== ownAddress(options) || left >= minimum) return ''
  return ` Less than ${formatAo(minimum)} AO would be left: the unit is not used any more.`
}

/** What bonding means here, in words. */
async function terms(origin: OriginClient, signal: AbortSignal): Promise<string> {
  const { unbondingBlocks } = JSON.parse(await origin.ask('Params', {}, { signal })) as EconomyParams
  return `It comes back ${unbondingBlocks} blocks after you ask for it, and can be slashed until then.`
}

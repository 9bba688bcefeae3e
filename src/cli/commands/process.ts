import { Command } from 'commander'
import type { Client } from '../../client/client.ts'
import { withDeadline } from '../../lib/abort.ts'
import { AoError } from '../../lib/errors.ts'
import type { Json } from '../../lib/json.ts'
import type { AttestedResult } from '../../ports/units.ts'
import type { Assignment } from '../../protocol/assignment.ts'
import { parseAttestation } from '../../protocol/attestation.ts'
import { parseStoredItem } from '../../protocol/data-item.ts'
import { parsePromise } from '../../protocol/delivery-promise.ts'
import { type Address, type MessageId, type ModuleId, parseAddress, parseId } from '../../protocol/ids.ts'
import { type Evaluation, resultToJson } from '../../protocol/result.ts'
import type { Tag } from '../../protocol/tags.ts'
import { runningTestnet } from '../../testnet/layout.ts'
import { collectTag, collectText, messageOrNonce, processArgument, textOrFile, writeUserFile } from '../arguments.ts'
import { type ConnectOptions, connectClient } from '../connect.ts'
import { exitCodes, type OutputOptions, printResult, progress } from '../output.ts'
import { nodeFlag, nodeHelp } from '../which-node.ts'

export interface TalkOptions extends ConnectOptions, OutputOptions {
  readonly timeout: string
}

interface MessageOptions extends TalkOptions {
  readonly action?: string
  readonly tag?: readonly Tag[]
  readonly data?: string
  readonly wait: boolean
  readonly follow?: boolean
}

export const spawnCommand = (): Command =>
  talking(new Command('spawn'))
    .description(
      'Start a new Process. It believes pushed messages from every MU of the network unless you say otherwise.',
    )
    .option('--module <id>', 'id of its Module; on a testnet, the one published last by default')
    .option('--scheduler <address>', 'the SU that is to order it; any living one by default')
    .option('--authority <address>', 'an MU whose pushed messages it believes; repeat for more', collectText)
    .option('--name <name>', 'tag Name')
    .option('--tag <name=value>', 'a further tag; repeat for more', collectTag)
    .option('--data <text>', 'data of the Process item; @file reads a file')
    .addHelpText('after', '\nExample:\n  aonet spawn --name counter --tag Purpose=trial')
    .action(async (options: MessageOptions & SpawnFlags) =>
      withClient(options, async (client, signal) => {
        const name = options.name === undefined ? [] : [{ name: 'Name', value: options.name }]
        const assignment = await client.spawn(
          {
            module: moduleOf(options),
            scheduler: options.scheduler === undefined ? undefined : parseAddress(options.scheduler, 'scheduler'),
            authorities: options.authority?.map(address => parseAddress(address, 'authority')) as Address[] | undefined,
            tags: [...name, ...(options.tag ?? [])],
            ...(options.data === undefined ? {} : { data: textOrFile(options.data) }),
          },
          { signal },
        )
        const value = { process: assignment.process, ...assignmentFacts(assignment) }
        printResult(`process    ${assignment.process}\n${assignmentText(assignment)}`, value, options)
      }),
    )

interface SpawnFlags {
  readonly module?: string
  readonly scheduler?: string
  readonly authority?: readonly string[]
  readonly name?: string
}

export const sendCommand = (): Command =>
  messaging(new Command('send').argument('<process>', 'id of the Process'))
    .description('Send a message and print what the Process made of it.')
    .option('--action <action>', 'tag Action')
    .option('--data <text>', 'data; @file reads a file')
    .option(
      '--promise <file>',
      "return before it is ordered, with an MU's signed promise that it will be: evidence if it is not",
    )
    .addHelpText(
      'after',
      '\nExample:\n  aonet send <process> --action Transfer --tag Recipient=<address> --tag Quantity=5',
    )
    .action((process: string, options: MessageOptions & { promise?: string }) => {
      const { promise: file } = options
      const tags = actionTags(options.action)
      return file === undefined ? send(process, tags, options) : promised(process, tags, { ...options, file })
    })

export const evalCommand = (): Command =>
  messaging(
    new Command('eval').argument('<process>', 'id of the Process').argument('<lua>', 'code; @file reads a file'),
  )
    .description('Evaluate Lua in an aos Process that you own and print the output.')
    .addHelpText('after', "\nExample:\n  aonet eval <process> 'Balance = (Balance or 0) + 1; return Balance'")
    .action((process: string, lua: string, options: MessageOptions) =>
      send(process, actionTags('Eval'), { ...options, data: textOrFile(lua) }),
    )

export const resultCommand = (): Command =>
  talking(
    new Command('result')
      .argument('<process>', 'id of the Process')
      .argument('<message>', 'id of the message, or its nonce'),
  )
    .description('Print the result of a message, evaluating up to it where that is still to be done.')
    .action(async (process: string, message: string, options: TalkOptions) =>
      withClient(options, async (client, signal) => {
        const answer = await client.result(processArgument(process), messageOrNonce(message), { signal })
        printEvaluation(answer.result, resultFacts(answer), options)
      }),
    )

export const dryRunCommand = (): Command =>
  talking(new Command('dry-run').argument('<process>', 'id of the Process'))
    .description('Evaluate an unsigned message on a state, the newest unless told, and keep nothing of it.')
    .option('--action <action>', 'tag Action')
    .option('--tag <name=value>', 'a further tag; repeat for more', collectTag)
    .option('--data <text>', 'data; @file reads a file')
    .option('--to <message>', 'on the state after that message')
    .action(async (process: string, options: MessageOptions & { readonly to?: string }) =>
      withClient(options, async (client, signal) => {
        const message = messageOf(actionTags(options.action), options)
        const to = options.to === undefined ? undefined : parseId<MessageId>(options.to, 'to')
        printEvaluation(await client.dryRun(processArgument(process), message, { signal, to }), {}, options)
      }),
    )

/** What a user has asked to be sent, behind the tags of the command. */
const messageOf = (tags: readonly Tag[], { tag = [], data = ' ' }: Pick<MessageOptions, 'tag' | 'data'>) => ({
  tags: [...tags, ...tag],
  data: textOrFile(data),
})

async function send(process: string, tags: readonly Tag[], options: MessageOptions): Promise<void> {
  await withClient(options, async (client, signal) => {
    const target = processArgument(process)
    const assignment = await client.send(target, messageOf(tags, options), { signal })
    if (!options.wait) return printResult(assignmentText(assignment), assignmentFacts(assignment), options)
    progress(`ordered as nonce ${assignment.nonce}; waiting for the result …`, options)
    const answer = await client.result(target, assignment.message, { signal })
    printEvaluation(answer.result, { ...assignmentFacts(assignment), ...resultFacts(answer) }, options)
    if (options.follow === true) await printFollow(client, assignment, { ...options, signal })
  })
}

async function promised(
  process: string,
  tags: readonly Tag[],
  options: MessageOptions & { file: string },
): Promise<void> {
  await withClient(options, async (client, signal) => {
    const item = await client.promise(processArgument(process), messageOf(tags, options), { signal })
    writeUserFile(options.file, item.raw)
    const { message: id, messenger, deadline } = parsePromise(item)
    const text = `message    ${id}\npromised   by ${messenger}\ndeadline   block ${deadline}\nIf it is not ordered by then: aonet evidence submit ${options.file}`
    printResult(text, { message: id, messenger, deadline, promise: options.file }, options)
  })
}

async function printFollow(
  client: Client,
  { process, message }: Assignment,
  options: OutputOptions & { signal: AbortSignal },
): Promise<void> {
  for await (const { process: at, nonce, state, parts, reason } of client.follow(process, message, {
    signal: options.signal,
  })) {
    const sent = parts.map(
      part =>
        `${part.kind} → ${part.target} ${part.state}${part.nonce === undefined ? '' : ` as nonce ${part.nonce}`}${part.reason === undefined ? '' : `: ${part.reason}`}`,
    )
    const text = [
      `crank ${at} nonce ${nonce}: ${state}${reason === undefined ? '' : `: ${reason}`}`,
      ...sent.map(line => `  ${line}`),
    ].join('\n')
    printResult(text, { process: at, nonce, state, parts, reason }, options)
  }
}

/** The signature was checked by the client. */
const resultFacts = ({ result, attestation }: AttestedResult): { readonly [key: string]: Json } => ({
  nonce: result.nonce,
  stateRoot: result.stateRoot,
  compute: parseAttestation(parseStoredItem(attestation)).compute,
})

/** A Process's own error is a result like any other; only the exit code differs. */
function printEvaluation(
  evaluation: Evaluation,
  facts: { readonly [key: string]: Json },
  options: OutputOptions,
): void {
  const { outbox, output, error } = evaluation
  if (error !== undefined) process.exitCode = exitCodes.failed
  const sent = [
    ...outbox.messages.map(
      ({ target, tags }) => `message → ${target} ${tags.find(({ name }) => name === 'Action')?.value ?? ''}`,
    ),
    ...outbox.spawns.map(() => 'spawn'),
    ...outbox.assignments.map(({ processes }) => `assignment → ${processes.join(', ')}`),
  ]
  const text = [error === undefined ? outputText(output) : `Error: ${error}`, ...sent].join('\n')
  printResult(text, { ...facts, ...resultToJson(evaluation) }, options)
}

/** aos answers `{data, prompt}`; other modules anything. */
export function outputText(output: Json): string {
  const data = typeof output === 'object' && output !== null && 'data' in output ? output['data'] : output
  const inner = typeof data === 'object' && data !== null && 'output' in data ? data['output'] : data
  return typeof inner === 'string' ? inner : JSON.stringify(inner)
}

const actionTags = (action: string | undefined): readonly Tag[] =>
  action === undefined ? [] : [{ name: 'Action', value: action }]

const assignmentFacts = ({ message, nonce, scheduler, timestamp, blockHeight }: Assignment) => ({
  message,
  nonce,
  scheduler,
  timestamp,
  blockHeight,
})

const assignmentText = ({ message, nonce, scheduler }: Assignment): string =>
  `message    ${message}\nnonce      ${nonce}\nscheduler  ${scheduler}`

function moduleOf(options: SpawnFlags & ConnectOptions): ModuleId {
  if (options.module !== undefined) return parseId<ModuleId>(options.module, 'module')
  const published = Object.values(runningTestnet(options.testnet)?.modules ?? {})
  const last = published.at(-1)
  if (last !== undefined) return last
  throw new AoError(
    'INVALID_ARGUMENT',
    'no Module is named',
    {},
    {
      hint: 'Publish one with `aonet module publish --aos` and pass its id with --module.',
    },
  )
}

export const talking = (command: Command): Command =>
  nodeOption(command).option('--timeout <seconds>', 'give up after so long', '60')

/** For commands that take as long as they take. */
export function nodeOption(command: Command): Command {
  return command
    .option(nodeFlag, nodeHelp)
    .option('--wallet <file>', "JWK file to sign with; by default the testnet's wallet, or .aonet/wallet.json")
    .option('--passphrase-file <file>', 'file whose first line is the passphrase of the key; asked for otherwise')
    .option('--testnet <directory>', 'directory of the testnet to look for')
}

function messaging(command: Command): Command {
  return talking(command)
    .option('--tag <name=value>', 'a further tag; repeat for more', collectTag)
    .option('--no-wait', 'return once the message is ordered')
    .option('--follow', 'also show how what it sets off is delivered')
}

export async function withClient(
  options: TalkOptions,
  work: (client: Client, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const seconds = Number(options.timeout)
  if (!(seconds > 0 && seconds <= 86_400))
    throw new AoError('INVALID_ARGUMENT', 'the timeout is not a number of seconds', { timeout: options.timeout })
  const signal = withDeadline(seconds * 1000)
  const client = await connectClient(options)
  try {
    await work(client, signal)
  } finally {
    await client.close()
  }
}

import { Command } from 'commander'
import { noticeValue, type OriginClient } from '../../client/origin.ts'
import { commitmentOf } from '../../economy/commits.ts'
import { sleep } from '../../lib/abort.ts'
import { toBase64Url } from '../../lib/bytes.ts'
import { AoError, hasCode } from '../../lib/errors.ts'
import { packBundle } from '../../protocol/bundle.ts'
import { type DataItem, parseStoredItem, verifyDataItem } from '../../protocol/data-item.ts'
import { type DeliveryPromise, parsePromise } from '../../protocol/delivery-promise.ts'
import { type Evidence, evidenceDigest, type Guilt, parseEvidence, verifyEvidence } from '../../protocol/evidence.ts'
import { hasTag } from '../../protocol/tags.ts'
import { readUserFile } from '../arguments.ts'
import { type OriginOptions, originTalking, withOrigin } from '../origin-command.ts'
import { type OutputOptions, printResult, progress } from '../output.ts'

export const evidenceCommand = (): Command =>
  new Command('evidence')
    .description('Proof that a unit signed what it must not, or promised what it did not do: files anybody can check.')
    .addCommand(
      new Command('check')
        .argument('<file>', 'such as those in the directory evidence of a node, or a promise that an MU gave')
        .description('Check a file, offline: signatures and contradiction. Exit code 1 if it proves nothing.')
        .action(async (file: string, options: OutputOptions) => {
          const found = await read(file)
          if ('promise' in found) printPromise(found.promise, options)
          else printGuilt(found, options)
        }),
    )
    .addCommand(
      originTalking(new Command('submit').argument('<file>'))
        .description(
          'Bring it before AO-Sec Origin with your wallet: commit, wait, show. The bond comes back with the verdict. ' +
            'Of a promise the MU is asked; it loses stake if it does not answer, and half of your bond is its if it does.',
        )
        .action((file: string, options: OriginOptions) =>
          withOrigin(options, async (origin, signal, address) => {
            const found = await read(file)
            if ('promise' in found) return ask(origin, found, { signal, options })
            const { evidence, guilt } = found
            await submit(origin, evidence, { address, signal, options })
            printResult(`${guilt.kind} of ${guilt.unit} is proven.`, { ...guilt }, options)
          }),
        ),
    )

interface Proof {
  readonly evidence: Evidence
  readonly guilt: Guilt
  readonly reporter: string
}
interface Promised {
  readonly promise: DeliveryPromise
  readonly item: DataItem
}

async function read(file: string): Promise<Proof | Promised> {
  const item = await verifyDataItem(readUserFile(file))
  if (hasTag(item.tags, 'Type', 'Delivery-Promise')) return { promise: parsePromise(item), item }
  const evidence = parseEvidence(item)
  return { evidence, guilt: await verifyEvidence(evidence), reporter: item.owner }
}

function printGuilt({ evidence, guilt, reporter }: Proof, options: OutputOptions): void {
  const digest = evidenceDigest(evidence)
  const { kind, unit, process, nonce } = guilt
  const { block } = evidence
  const lines = [`guilty     ${kind} ${unit}`, `process    ${process} nonce ${nonce}`]
  if (block !== undefined) lines.push(`block      ${block}, by the reporter’s word: the network’s reporters decide`)
  lines.push(`reported   by ${reporter}`, `digest     ${digest}`)
  printResult(lines.join('\n'), { ...guilt, digest, reporter, ...(block !== undefined && { block }) }, options)
}

/** A promise is nobody's guilt yet: only the MU can tell whether it kept it. */
function printPromise({ messenger, process, message, deadline }: DeliveryPromise, options: OutputOptions): void {
  const text = `promised   by ${messenger}\nmessage    ${message}\nprocess    ${process}\ndeadline   block ${deadline}`
  printResult(text, { kind: 'F8', messenger, process, message, deadline }, options)
}

async function ask(
  origin: OriginClient,
  { promise, item }: Promised,
  { signal, options }: { signal: AbortSignal; options: OriginOptions },
): Promise<void> {
  const messages = await origin.act('Challenge', { Kind: 'F8' }, { signal, data: toBase64Url(packBundle([item])) })
  const challenge = noticeValue(messages, 'Challenge-Notice', 'Challenge')
  const due = noticeValue(messages, 'Challenge-Notice', 'Due-Height')
  const text = `${promise.messenger} is asked to show that the message is ordered, until block ${due}.\nWhat comes of it: aonet slashes`
  printResult(text, { ...promise, challenge, due: Number(due) }, options)
}

/** Before a bond is locked for nothing. */
async function assertNew(origin: OriginClient, digest: string, signal: AbortSignal): Promise<void> {
  const { verdicts } = JSON.parse(await origin.ask('Slashes', { Limit: '1000' }, { signal })) as {
    readonly verdicts: readonly (readonly [string, unknown])[]
  }
  if (!verdicts.some(([judged]) => judged === digest)) return
  const hint = 'What came of it: aonet slashes'
  throw new AoError('DUPLICATE_EVIDENCE', 'this evidence was judged before', { digest }, { hint })
}

async function submit(
  origin: OriginClient,
  evidence: Evidence,
  { address, signal, options }: { address: string; signal: AbortSignal; options: OriginOptions },
): Promise<void> {
  const digest = evidenceDigest(evidence)
  await assertNew(origin, digest, signal)
  const salt = toBase64Url(crypto.getRandomValues(new Uint8Array(24)))
  await origin.act('Commit-Evidence', { Digest: commitmentOf(digest, salt, address) }, { signal })
  progress('committed; waiting until it may be shown …', options)
  const data = toBase64Url(packBundle(evidence.proof.map(parseStoredItem)))
  const fields = { Kind: evidence.kind, Unit: evidence.unit, Process: evidence.process, Salt: salt }
  for (;;) {
    try {
      await origin.act('Submit-Evidence', fields, { signal, data })
      return
    } catch (error) {
      if (!hasCode(error, 'NOT_READY')) throw error
      await sleep(1000, { signal }) // a block has to pass
    }
  }
}

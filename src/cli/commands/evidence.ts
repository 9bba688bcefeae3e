import { Command } from 'commander'
import type { OriginClient } from '../../client/origin.ts'
import { commitmentOf } from '../../economy/commits.ts'
import { sleep } from '../../lib/abort.ts'
import { toBase64Url } from '../../lib/bytes.ts'
import { hasCode } from '../../lib/errors.ts'
import { packBundle } from '../../protocol/bundle.ts'
import { parseStoredItem, verifyDataItem } from '../../protocol/data-item.ts'
import { type Evidence, evidenceDigest, type Guilt, parseEvidence, verifyEvidence } from '../../protocol/evidence.ts'
import { readUserFile } from '../arguments.ts'
import { type OriginOptions, originTalking, withOrigin } from '../origin-command.ts'
import { type OutputOptions, printResult, progress } from '../output.ts'

export const evidenceCommand = (): Command =>
  new Command('evidence')
    .description('Proof that a unit signed what it must not: files that anybody can check alone.')
    .addCommand(
      new Command('check')
        .argument('<file>', 'such as those in the directory evidence of a node')
        .description('Check a file, offline: signatures and contradiction. Exit code 1 if it proves nothing.')
        .action(async (file: string, options: OutputOptions) => {
          const { evidence, guilt, reporter } = await read(file)
          const digest = evidenceDigest(evidence)
          const text = `guilty     ${guilt.kind} ${guilt.unit}\nprocess    ${guilt.process} nonce ${guilt.nonce}\nreported   by ${reporter}\ndigest     ${digest}`
          printResult(text, { ...guilt, digest, reporter }, options)
        }),
    )
    .addCommand(
      originTalking(new Command('submit').argument('<file>'))
        .description(
          'Bring it before AO-Sec Origin with your wallet: commit, wait, show. The bond comes back with the verdict.',
        )
        .action((file: string, options: OriginOptions) =>
          withOrigin(options, async (origin, signal, address) => {
            const { evidence, guilt } = await read(file)
            await submit(origin, evidence, { address, signal, options })
            printResult(`${guilt.kind} of ${guilt.unit} is proven.`, { ...guilt }, options)
          }),
        ),
    )

async function read(file: string): Promise<{ evidence: Evidence; guilt: Guilt; reporter: string }> {
  const item = await verifyDataItem(readUserFile(file))
  const evidence = parseEvidence(item)
  return { evidence, guilt: await verifyEvidence(evidence), reporter: item.owner }
}

async function submit(
  origin: OriginClient,
  evidence: Evidence,
  { address, signal, options }: { address: string; signal: AbortSignal; options: OriginOptions },
): Promise<void> {
  const digest = evidenceDigest(evidence)
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

// The submitting side of su-schedule, in a process of its own. Started by su-grpc.ts.
import '../../../src/lib/polyfill.ts'
import { readFileSync } from 'node:fs'
import { ChannelPool } from '../../../src/network/grpc/channel-pool.ts'
import { defaultPool } from '../../../src/network/grpc/clients.ts'
import { defaultExchanges, scheduleStreams } from '../../../src/network/grpc/exchange-kinds.ts'
import { parseAssignment } from '../../../src/protocol/assignment.ts'
import { parseStoredItem, verifyDataItem } from '../../../src/protocol/data-item.ts'
import type { Address } from '../../../src/protocol/ids.ts'
import type { Errand, Ran } from './su-grpc.ts'

const files = new Map<string, readonly Buffer[]>()

process.on('message', async (errand: Errand) => {
  const messages = messagesOf(errand.file).slice(errand.from, errand.to)
  const peer = {
    address: errand.address as Address,
    grpc: errand.endpoint,
    certificate: Buffer.from(errand.certificate, 'base64'),
  }
  const pool = new ChannelPool(defaultPool)
  const streams = scheduleStreams(pool, defaultExchanges)
  const submit = (bytes: Buffer): Promise<Uint8Array> => streams.ask(peer, bytes, { deadlineMs: 60_000 })
  const [first] = messages
  if (errand.raw && first !== undefined) await submit(first) // the connection is not what is measured
  const queue = messages.entries()
  const answers: Uint8Array[] = []
  const cpu = process.cpuUsage()
  const start = performance.now()
  await Promise.all(
    Array.from({ length: errand.submitters }, async () => {
      for (const [i, bytes] of queue) answers[i] = await submit(bytes)
    }),
  )
  const ms = performance.now() - start
  const { user, system } = process.cpuUsage(cpu)
  await pool.close()
  if (!errand.raw) await checkAnswers(messages, answers) // a reader's work, and not the scheduler's: after the clock
  process.send?.({ ms, cpu: (user + system) / 1000 } satisfies Ran)
})

async function checkAnswers(messages: readonly Buffer[], answers: readonly Uint8Array[]): Promise<void> {
  for (const [i, bytes] of messages.entries()) {
    const assignment = parseAssignment(await verifyDataItem(answers[i] ?? new Uint8Array(0)))
    if (assignment.message !== parseStoredItem(bytes).id) throw new Error('an answer is about another message')
  }
}

function messagesOf(file: string): readonly Buffer[] {
  const known = files.get(file)
  if (known !== undefined) return known
  const all = readFileSync(file)
  const messages: Buffer[] = []
  for (let at = 0; at < all.length; ) {
    const end = at + 4 + all.readUInt32BE(at)
    messages.push(all.subarray(at + 4, end))
    at = end
  }
  files.set(file, messages)
  return messages
}

import type { AbortOptions } from '../lib/abort.ts'
import { fromBase64Url, toUtf8 } from '../lib/bytes.ts'
import { AoError } from '../lib/errors.ts'
import type { PreparedTx } from '../ports/settlement.ts'
import type { Answer, GatewayHttp } from './http.ts'
import { arweave } from './payer.ts'

/** What Arweave nodes take in one body; more goes in chunks. */
const maxDataInBody = 12 * 1024 * 1024
const timeoutMs = 120_000

/**
 * Posts a prepared transaction, with its data or followed by its chunks. All of it may be sent again.
 *
 * @param isKnown Whether the gateway has the transaction: asked when it refuses, since nodes refuse what they have.
 * @throws AoError `SETTLEMENT_FAILED` | `PEER_UNREACHABLE`
 */
export async function postTransaction(
  http: GatewayHttp,
  gateway: string,
  tx: PreparedTx,
  isKnown: () => Promise<boolean>,
  { signal }: AbortOptions,
): Promise<void> {
  const { text, fields } = contentOf(tx)
  const data = fromBase64Url(fields.data)
  const inBody = data.length <= maxDataInBody
  const body = inBody ? text : JSON.stringify({ ...fields, data: '' })
  const answer = await http.ask(`${gateway}/tx`, { body, signal, timeoutMs })
  if (answer.status >= 400 && !(await isKnown())) throw refused(tx, answer)
  if (inBody) return
  const whole = arweave.transactions.fromRaw({ ...fields, data })
  await whole.prepareChunks(data)
  for (let index = 0; index < (whole.chunks?.chunks.length ?? 0); index++) {
    const chunk = JSON.stringify(whole.getChunk(index, data))
    const chunkAnswer = await http.ask(`${gateway}/chunk`, { body: chunk, signal, timeoutMs })
    if (chunkAnswer.status >= 400) throw refused(tx, chunkAnswer, index)
  }
}

function contentOf(tx: PreparedTx): { text: string; fields: { data: string } } {
  const text = toUtf8(tx.payload)
  const wrong = (cause?: unknown): AoError =>
    new AoError('INVALID_ARGUMENT', 'the payload is not the prepared transaction', { id: tx.id }, { cause })
  let fields: unknown
  try {
    fields = JSON.parse(text)
  } catch (cause) {
    throw wrong(cause)
  }
  if (typeof fields !== 'object' || fields === null || !('id' in fields) || fields.id !== tx.id) throw wrong()
  if (!('data' in fields) || typeof fields.data !== 'string') throw wrong()
  return { text, fields: { ...fields, data: fields.data } }
}

const refused = (tx: PreparedTx, answer: Answer, chunk?: number): AoError =>
  new AoError(
    'SETTLEMENT_FAILED',
    'Arweave refused the transaction',
    { id: tx.id, status: answer.status, answer: answer.text(200), chunk },
    { hint: 'The answer says why. An old anchor or a risen price needs the bundle to be prepared again.' },
  )

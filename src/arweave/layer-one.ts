import { generateTransactionChunks } from 'arweave/node/lib/merkle.js'
import { z } from 'zod'
import { fromBase64Url, sha256, toBase64Url } from '../lib/bytes.ts'
import { AoError } from '../lib/errors.ts'
import type { LayerOneTx } from '../ports/settlement.ts'
import { addressOfKey, type Id } from '../protocol/ids.ts'
import { verifySignature } from '../protocol/signatures.ts'
import { arweave } from './payer.ts'

const text = z.string().max(4096)
/** What Arweave nodes answer for a transaction, as far as its signature covers it. */
export const txAnswer = z.object({
  format: z.coerce.number(),
  id: text,
  last_tx: text,
  owner: text,
  tags: z.array(z.object({ name: text, value: text })).max(2048),
  target: text,
  quantity: text,
  data_size: z.string().regex(/^[0-9]{1,15}$/),
  data_root: text,
  reward: text,
  signature: text,
})
export type TxFields = z.infer<typeof txAnswer>

/**
 * Nothing is taken on trust: another field does not match the signature, another signature not the id.
 *
 * @throws AoError `INVALID_DATA_ITEM` unless it is the RSA-signed transaction of format 2 with that id.
 */
export async function verifyTx(id: Id, fields: TxFields): Promise<LayerOneTx> {
  const [signature, ownerKey] = [fromBase64Url(fields.signature), fromBase64Url(fields.owner)]
  if (fields.format !== 2) throw refused(id, 'only transactions of format 2 can be checked here')
  if (toBase64Url(sha256(signature)) !== id) throw refused(id, 'the id is not the hash of the signature')
  if (ownerKey.length !== 512 || signature.length !== 512) throw refused(id, 'it is not signed with RSA-4096')
  const digest = await arweave.transactions.fromRaw({ ...fields, data: '' }).getSignatureData()
  if (!verifySignature(1, ownerKey, digest, signature)) throw refused(id, 'the signature does not match')
  return {
    ...{ id, signature, ownerKey, owner: addressOfKey(ownerKey), target: fields.target, anchor: fields.last_tx },
    tags: fields.tags.map(({ name, value }) => ({ name: decoded(name), value: decoded(value) })),
    dataSize: Number(fields.data_size),
  }
}

/** @throws AoError `INVALID_DATA_ITEM` unless these bytes are what the transaction commits to. */
export async function verifyTxData(id: Id, fields: TxFields, data: Uint8Array): Promise<Uint8Array> {
  if (data.length !== Number(fields.data_size)) throw refused(id, 'the data has another size')
  if (data.length === 0) return data
  const { data_root: root } = await generateTransactionChunks(data)
  if (toBase64Url(root) !== fields.data_root) throw refused(id, 'the data is not what the transaction commits to')
  return data
}

const decoded = (base64Url: string): string => Buffer.from(base64Url, 'base64url').toString('utf8')

const refused = (id: Id, reason: string): AoError =>
  new AoError(
    'INVALID_DATA_ITEM',
    `what the gateway has under this id is not a signed transaction: ${reason}`,
    { id },
    { hint: 'It may be an item of a bundle, or changed by the gateway: ask another gateway.' },
  )

import { randomBytes } from 'node:crypto'
import * as arbundles from 'arbundles'
import { verifyDataItem } from '../../src/protocol/data-item.ts'
import { generateKey, type Signer, signerFromJwk } from '../../src/protocol/keys.ts'
import type { BenchLine } from './main.ts'
import { compare } from './support/measure.ts'

/** Parsing and verifying 2 KB items with 6 tags, against arbundles. Goals: RSA twice, Ed25519 eight times as fast. */
export default async function* verify(): AsyncIterable<BenchLine> {
  const ed25519 = async (): Promise<Signer> => signerFromJwk(generateKey('ed25519'))
  const rsa = signerFromJwk(generateKey('rsa'))
  yield { case: 'rsa', ...(await measure(await items(64, async () => rsa))) }
  const one = await ed25519()
  yield { case: 'ed25519', ...(await measure(await items(256, async () => one))) }
  // More owners than keys are kept: each item pays for making its key.
  yield { case: 'ed25519, all new owners', ...(await measure(await items(1500, ed25519))) }
  const ethereum = new arbundles.EthereumSigner(randomBytes(32).toString('hex'))
  yield { case: 'ethereum', ...(await measure(await ethereumItems(64, ethereum))) }
}

async function measure(all: readonly Buffer[]): Promise<Awaited<ReturnType<typeof compare>>> {
  const next = inTurn(all)
  const nextForStock = inTurn(all)
  return compare(
    async () => verifyDataItem(next()),
    async () => {
      const bytes = nextForStock()
      const item = new arbundles.DataItem(bytes)
      // What ours gives too: the id, the tags and the verdict.
      if (item.id === '' || item.tags.length !== tags.length || !(await arbundles.DataItem.verify(bytes))) {
        throw new Error('arbundles refuses a valid item')
      }
    },
  )
}

const tags = [
  { name: 'Data-Protocol', value: 'ao' },
  { name: 'Type', value: 'Message' },
  { name: 'Variant', value: 'ao.TN.1' },
  { name: 'Action', value: 'Transfer' },
  { name: 'Recipient', value: 'aGVsbG8gd29ybGQgaGVsbG8gd29ybGQgaGVsbG8gd29' },
  { name: 'Quantity', value: '1000000000000' },
]
const target = 'aGVsbG8gd29ybGQgaGVsbG8gd29ybGQgaGVsbG8gd28'

async function items(count: number, signer: () => Promise<Signer>): Promise<readonly Buffer[]> {
  const made: Buffer[] = []
  for (let i = 0; i < count; i++) {
    const item = await (await signer()).sign({ target: target as never, tags, data: randomBytes(2048) })
    made.push(Buffer.from(item.raw))
  }
  return made
}

async function ethereumItems(
  count: number,
  signer: InstanceType<typeof arbundles.EthereumSigner>,
): Promise<readonly Buffer[]> {
  const made: Buffer[] = []
  for (let i = 0; i < count; i++) {
    const item = arbundles.createData(randomBytes(2048), signer, { target, tags })
    await item.sign(signer)
    made.push(item.getRaw())
  }
  return made
}

function inTurn(all: readonly Buffer[]): () => Buffer {
  let at = 0
  return () => all[at++ % all.length] ?? Buffer.alloc(0)
}

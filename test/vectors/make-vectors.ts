// Makes the files beside it, once: items by arbundles for every signature type, hashes by arweave-js, addresses by ethers.
// The keys are thrown away. Run again only to add kinds: npx tsx test/vectors/make-vectors.ts
import { createPrivateKey, createPublicKey, type KeyObject, randomBytes, sign } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { computeAddress } from '@ethersproject/transactions'
import * as arbundles from 'arbundles'
import ArweaveModule from 'arweave'
import { generateKey } from '../../src/protocol/keys.ts'

const Arweave = (ArweaveModule as unknown as { default?: typeof ArweaveModule }).default ?? ArweaveModule
const arweave = Arweave.init({})
const id = 'aGVsbG8gd29ybGQgaGVsbG8gd29ybGQgaGVsbG8gd28'
const aoTags = [
  { name: 'Data-Protocol', value: 'ao' },
  { name: 'Type', value: 'Message' },
  { name: 'Variant', value: 'ao.TN.1' },
  { name: 'Action', value: 'Eval' },
]

const shapes = [
  { name: 'bare', data: '', options: {} },
  { name: 'message', data: 'return 1 + 1', options: { target: id, tags: aoTags } },
  {
    name: 'everything',
    data: randomBytes(3000),
    options: {
      target: id,
      anchor: '0123456789abcdef0123456789abcdef',
      tags: [...aoTags, { name: 'Töne ✓ 😀', value: 'x'.repeat(300) }, { name: 'Action', value: '\ufeffrepeated' }],
    },
  },
]
const manyTags = Array.from({ length: 128 }, (_, i) => ({ name: `n${i}`, value: `v${i}` }))

type AnySigner = Parameters<arbundles.DataItem['sign']>[0]

const ed = (): Buffer => randomBytes(32)
const keyOf = (seed: Uint8Array): KeyObject =>
  createPrivateKey({
    key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]),
    format: 'der',
    type: 'pkcs8',
  })
const base58 = await import('bs58' as string).then(module => (module.default ?? module) as { encode(bytes: Uint8Array): string })
const publicOf = (seed: Uint8Array): Buffer =>
  createPublicKey(keyOf(seed)).export({ format: 'der', type: 'spki' }).subarray(-32)

const rsaJwk = generateKey('rsa')
const solanaSeed = ed()
const solanaKey = base58.encode(Buffer.concat([solanaSeed, publicOf(solanaSeed)]))
const aptosSeed = ed()
const multiSeeds = [ed(), ed(), ed()]
const multiOwner = Buffer.alloc(32 * 32 + 1)
for (const [i, seed] of multiSeeds.entries()) multiOwner.set(publicOf(seed), i * 32)
multiOwner[32 * 32] = 2
const ethereumKey = randomBytes(32).toString('hex')
const signWith = (seed: Uint8Array, message: Uint8Array): Buffer => sign(null, message, keyOf(seed))

const signers: readonly { name: string; signer: AnySigner; address?: string }[] = [
  {
    name: 'arweave',
    signer: new arbundles.ArweaveSigner(rsaJwk as never),
    address: await arweave.wallets.ownerToAddress(rsaJwk['n'] ?? ''),
  },
  { name: 'ed25519', signer: new arbundles.SolanaSigner(solanaKey) },
  {
    name: 'ethereum',
    signer: new arbundles.EthereumSigner(ethereumKey),
    address: computeAddress(new arbundles.EthereumSigner(ethereumKey).publicKey),
  },
  { name: 'solana', signer: new arbundles.HexSolanaSigner(solanaKey) },
  {
    name: 'aptos',
    signer: new arbundles.InjectedAptosSigner(
      {
        signMessage: async ({ message, nonce }: { message: string; nonce: string }) => ({
          signature: signWith(aptosSeed, Buffer.from(`APTOS\nmessage: ${message}\nnonce: ${nonce}`)).toString('hex'),
        }),
      },
      publicOf(aptosSeed),
    ),
  },
  {
    name: 'multi-aptos',
    signer: new arbundles.MultiSignatureAptosSigner(multiOwner, async message => ({
      signatures: [multiSeeds[0], multiSeeds[2]].map(seed => signWith(seed ?? ed(), message)),
      bitmap: [0, 2],
    })),
  },
  {
    name: 'typed-ethereum',
    signer: new arbundles.TypedEthereumSigner(ethereumKey),
    address: computeAddress(new arbundles.EthereumSigner(ethereumKey).publicKey),
  },
]

const items: unknown[] = []
const raws: arbundles.DataItem[] = []
for (const { name, signer, address } of signers) {
  for (const shape of [...shapes, ...(name === 'ed25519' ? [{ name: 'many tags', data: 'x', options: { tags: manyTags } }] : [])]) {
    const item = arbundles.createData(shape.data, signer, shape.options)
    await item.sign(signer)
    if (!(await arbundles.DataItem.verify(item.getRaw()))) throw new Error(`arbundles refuses its own ${name}`)
    raws.push(item)
    items.push({
      name: `${name}, ${shape.name}`,
      signatureType: item.signatureType,
      id: item.id,
      ownerKey: item.owner,
      ...(address === undefined ? {} : { address }),
      target: item.target,
      anchor: item.anchor,
      tags: item.tags,
      data: item.data,
      signedDigest: Buffer.from(await item.getSignatureData()).toString('hex'),
      raw: item.getRaw().toString('base64'),
    })
  }
}
await save('items.json', items)

const bundleItems = raws.filter((_, i) => i % 4 === 1)
const bundle = await arbundles.bundleAndSignData(bundleItems, signers[1]?.signer as never)
await save('bundle.json', {
  bundle: Buffer.from(bundle.getRaw()).toString('base64'),
  ids: bundle.getIds(),
})

const { deepHash, stringToBuffer } = arbundles
const lists = [[], [''], ['a', 'bc', ''], ['dataitem', '1', '2', 'x'.repeat(5000)]]
await save('hashes.json', {
  // deepHash of arweave-js, over lists of texts; RSA-PSS with each length of salt that arweave-js makes or takes.
  deepHash: await Promise.all(
    lists.map(async list => ({
      list,
      hash: Buffer.from(await arweaveDeepHash(list.map(text => stringToBuffer(text)))).toString('hex'),
      sameByArbundles: Buffer.from(await deepHash(list.map(text => stringToBuffer(text)))).toString('hex'),
    })),
  ),
  rsa: await Promise.all(
    [undefined, 0, 32].map(async saltLength => {
      const message = randomBytes(48)
      const options = saltLength === undefined ? {} : { saltLength }
      const signature = await arweave.crypto.sign(rsaJwk as never, message, options)
      return {
        saltLength: saltLength ?? 'default',
        ownerKey: rsaJwk['n'],
        message: message.toString('hex'),
        signature: Buffer.from(signature).toString('base64'),
      }
    }),
  ),
})

async function arweaveDeepHash(list: readonly Uint8Array[]): Promise<Uint8Array> {
  const module = (await import('arweave/node/lib/deepHash.js' as string)) as { default: unknown }
  const hash = (typeof module.default === 'function' ? module.default : (module.default as { default: unknown }).default) as (
    list: readonly Uint8Array[],
  ) => Promise<Uint8Array>
  return hash(list)
}

async function save(file: string, value: unknown): Promise<void> {
  await writeFile(new URL(file, import.meta.url), `${JSON.stringify(value, null, 1)}\n`)
}

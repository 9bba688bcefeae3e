import assert from 'node:assert/strict'
import * as arbundles from 'arbundles'
import { concat, toBase64Url, utf8 } from '../../../src/lib/bytes.ts'
import { AoError } from '../../../src/lib/errors.ts'
import { encodeTags } from '../../../src/protocol/avro-tags.ts'
import { type DataItem, verifyDataItem } from '../../../src/protocol/data-item.ts'
import { avroLong, avroString, plainTags, signOddItem, trapsArbundles } from '../../support/odd-items.ts'
import { SeededRandom, testSeed } from '../../support/random.ts'
import { itemVectors, vectorBytes } from '../../support/vectors.ts'

/**
 * Why we refuse what arbundles takes. All on purpose: with any of them allowed, bytes that differ would be the same
 * item, one signature would have two ids, or an item would mean one thing here and another elsewhere.
 */
const stricter = {
  'the presence byte of the target is neither 0 nor 1': 'arbundles reads every byte but 1 as absent',
  'the presence byte of the anchor is neither 0 nor 1': 'arbundles reads every byte but 1 as absent',
  'the item ends inside a field': 'arbundles takes what is there, and asks no signature at all of a cut Aptos item',
  'there are tag bytes but no tags': 'the number of tags is not signed: anybody could hide the tags',
  'too many tags': 'arbundles counts the bytes only, other readers 128 tags',
  'the number of tags is not the one stated': 'several Avro blocks, or a block with its size: a second encoding',
  'the tags do not end where they should': 'bytes after the end mark, or no end mark',
  'a number in the tags is not in its shortest form': 'a second encoding',
  'a number in the tags is out of range': 'a second encoding',
  'the tags end inside a number': 'arbundles reads zeros after the end',
  'a tag is not UTF-8': 'arbundles puts U+FFFD in its place',
  'a tag is longer than the tags': 'arbundles goes back for a negative length',
  'the number of tags is out of range': 'arbundles rounds numbers over 2^53',
  'the owner is not an uncompressed key': 'a hybrid key is a second form of the same owner',
  'the owner is not 0x and 40 lower-case hexadecimal digits':
    'an address in capitals is a second form of the same owner',
  'the owner asks for a number of signatures that cannot be': 'arbundles does not look at the threshold',
  'the owner is not a 4096-bit RSA modulus': 'Arweave keys have 4096 bits',
  'the signature does not match the item':
    'Ethereum: v and the height of s, which arbundles ignores; Aptos with several keys: fewer or more than the threshold',
} as const

interface Verdicts {
  readonly ours: DataItem | undefined
  /** Why ours refused. */
  readonly reason: string
  readonly stock: boolean
}

describe('protocol: our verdict against arbundles', function () {
  this.timeout(120_000)
  const seed = testSeed()
  const warn = console.warn

  before(() => {
    console.warn = () => undefined // arweave-js prints each signature that does not match
  })
  after(() => {
    console.warn = warn
  })

  it(`agrees on thousands of mutated items of every signature type (TEST_SEED=${seed})`, async () => {
    const random = new SeededRandom(seed)
    const vectors = itemVectors().map(({ raw }) => Buffer.from(raw, 'base64'))
    let bothValid = 0
    for (let i = 0; i < 3000; i++) {
      const bytes = mutate(random, random.pick(vectors), random.pick(vectors))
      if ((await compare(bytes, `mutation ${i}`)).ours !== undefined) bothValid++
    }
    assert.ok(bothValid > 0, 'some mutations change nothing, and are valid')
  })

  it(`agrees on items whose odd tags and fields are properly signed (TEST_SEED=${seed})`, async () => {
    const random = new SeededRandom(seed)
    let bothValid = 0
    for (let i = 0; i < 1000; i++) {
      if ((await compare(oddItem(random), `odd item ${i}`)).ours !== undefined) bothValid++
    }
    assert.ok(bothValid > 30, 'plain ones among them are valid')
  })

  for (const [reason, bytes] of directed()) {
    it(`refuses what arbundles takes: ${reason}`, async () => {
      const verdicts = await compare(bytes, reason)
      assert.equal(verdicts.stock, true, 'arbundles takes it')
      assert.equal(verdicts.reason, reason)
    })
  }

  async function compare(bytes: Buffer, what: string): Promise<Verdicts> {
    const verdicts = await bothVerdicts(bytes)
    const { ours, stock, reason } = verdicts
    const context = `${what}, TEST_SEED=${seed}, ${bytes.toString('base64').slice(0, 400)}`
    if (ours !== undefined) {
      assert.ok(stock, `ours takes what arbundles refuses: ${context}`)
      assertSameReading(ours, new arbundles.DataItem(bytes), context)
    } else if (stock) {
      assert.ok(reason in stricter, `ours refuses without an agreed reason, "${reason}": ${context}`)
    }
    return verdicts
  }
})

async function bothVerdicts(bytes: Buffer): Promise<Verdicts> {
  let ours: DataItem | undefined
  let reason = ''
  try {
    ours = await verifyDataItem(bytes)
  } catch (error) {
    assert.ok(error instanceof AoError, `not an AoError: ${error}`)
    reason = error.message.replace(/^the item ends inside its .*/, 'the item ends inside a field')
  }
  return { ours, reason, stock: await stockVerdict(bytes) }
}

async function stockVerdict(bytes: Buffer): Promise<boolean> {
  try {
    const { rawTags } = new arbundles.DataItem(bytes)
    if (trapsArbundles(rawTags)) return false // it would never answer
    return await arbundles.DataItem.verify(bytes)
  } catch {
    return false
  }
}

function assertSameReading(ours: DataItem, stock: arbundles.DataItem, context: string): void {
  assert.equal(ours.id, stock.id, context)
  assert.equal(toBase64Url(ours.ownerKey), stock.owner, context)
  assert.equal(ours.target ?? '', stock.target, context)
  assert.equal(toBase64Url(ours.anchor), stock.anchor, context)
  assert.deepEqual(ours.tags, stock.tags, context)
  assert.equal(toBase64Url(ours.data), stock.data, context)
}

/** Flips, cuts, doubles, joins; now and then leaves the item as it is. */
function mutate(random: SeededRandom, item: Buffer, other: Buffer): Buffer {
  const bytes = Buffer.from(item)
  // The header is short beside signature and owner, so half of the changes go there.
  const header = { 1: 1026, 2: 98, 3: 132, 4: 98, 5: 98, 6: 3079, 7: 109 }[bytes[0] ?? 0] ?? 0
  const at = random.below(2) === 0 ? Math.min(bytes.length - 1, header + random.below(80)) : random.below(bytes.length)
  switch (random.below(9)) {
    case 0:
      return bytes
    case 1:
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8))
      return bytes
    case 2:
      bytes[at] = random.below(256)
      return bytes
    case 3:
      return bytes.subarray(0, at)
    case 4:
      return Buffer.concat([bytes, random.bytes(random.below(40))])
    case 5:
      return Buffer.concat([bytes.subarray(0, at), random.bytes(1 + random.below(8)), bytes.subarray(at)])
    case 6:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random.below(16))])
    case 7:
      return Buffer.concat([bytes.subarray(0, at), other.subarray(at)])
    default:
      bytes.writeUInt16LE(random.below(10), 0)
      return bytes
  }
}

/** Fields of all shapes, most of them plain, with a signature that covers them. */
function oddItem(random: SeededRandom): Buffer {
  const presence = (): Uint8Array => {
    const flag = random.pick([0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 255])
    return flag === 1 ? concat(Uint8Array.of(1), random.bytes(32)) : Uint8Array.of(flag)
  }
  const count = random.pick([0, 1, 1, 2, 3, 127, 128, 129])
  const padding = (): number => random.pick([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 5])
  const text = (): Uint8Array => {
    const length = random.pick([0, 1, 5, 10, 63, 64, 65])
    return count > 3 || random.below(30) > 0 ? utf8('é'.repeat(length >> 1)) : random.bytes(length)
  }
  const pairs = Array.from({ length: count * 2 }, () => avroString(count > 3 ? 'n' : text(), count > 3 ? 0 : padding()))
  const block = [avroLong(count, padding()), ...pairs]
  const shapes = [
    concat(...block, Uint8Array.of(0)),
    concat(...block, Uint8Array.of(0)),
    concat(...block, Uint8Array.of(0)),
    concat(...block),
    concat(...block, Uint8Array.of(0, 0)),
    concat(...block, ...block, Uint8Array.of(0)),
    concat(avroLong(-count), avroLong(concat(...pairs).length), ...pairs, Uint8Array.of(0)),
    random.bytes(random.below(30)),
  ]
  const tags = count === 0 && random.below(2) === 0 ? new Uint8Array(0) : random.pick(shapes)
  const stated = random.pick([count, count, count, count, count, count, 0, count + 1, count * 2])
  return signOddItem({
    target: presence(),
    anchor: presence(),
    tags,
    tagCount: BigInt(stated),
    data: random.bytes(random.below(50)),
  })
}

/** One item for each reason that can be reached with a signature that arbundles takes. */
function directed(): readonly (readonly [reason: keyof typeof stricter, bytes: Buffer])[] {
  const tag = concat(avroString('name'), avroString('value'))
  const end = Uint8Array.of(0)
  const tagged = (tags: Uint8Array, tagCount: bigint): Buffer => signOddItem({ tags, tagCount })
  const many = encodeTags(Array.from({ length: 128 }, () => ({ name: 'a', value: 'b' })))
  const flip = (name: string, change: (bytes: Buffer) => void): Buffer => {
    const bytes = vectorBytes(name)
    change(bytes)
    return bytes
  }
  const multiSignature = 32 * 64 + 4
  return [
    ['the presence byte of the target is neither 0 nor 1', signOddItem({ target: Uint8Array.of(2) })],
    ['the presence byte of the anchor is neither 0 nor 1', signOddItem({ anchor: Uint8Array.of(9) })],
    ['there are tag bytes but no tags', tagged(plainTags, 0n)],
    ['too many tags', tagged(concat(avroLong(129), many.subarray(2, -1), avroString('a'), avroString('b'), end), 129n)],
    ['the number of tags is not the one stated', tagged(concat(avroLong(1), tag, avroLong(1), tag, end), 2n)],
    ['the number of tags is not the one stated', tagged(concat(avroLong(-1), avroLong(tag.length), tag, end), 1n)],
    ['the tags do not end where they should', tagged(concat(avroLong(1), tag, end, utf8('more')), 1n)],
    ['the tags end inside a number', tagged(concat(avroLong(1), tag), 1n)],
    ['a number in the tags is not in its shortest form', tagged(concat(avroLong(1, 1), tag, end), 1n)],
    ['a number in the tags is out of range', tagged(concat(avroLong(1, 3), tag, end), 1n)],
    ['a tag is not UTF-8', tagged(concat(avroLong(1), avroString(Uint8Array.of(0xff)), avroString('v'), end), 1n)],
    ['the signature does not match the item', flip('ethereum, message', bytes => bytes.writeUInt8(0, 2 + 64))],
    [
      'the signature does not match the item',
      flip('ethereum, message', bytes => bytes.writeUInt8((bytes[66] ?? 0) ^ 7, 66)),
    ],
    [
      'the signature does not match the item',
      flip('typed-ethereum, message', bytes => bytes.writeUInt8((bytes[66] ?? 0) - 27, 66)),
    ],
    [
      'the signature does not match the item',
      flip('multi-aptos, message', bytes => bytes.fill(0, 2, 2 + multiSignature)),
    ],
    [
      'the owner asks for a number of signatures that cannot be',
      flip('multi-aptos, message', bytes => bytes.fill(0, 2, 2 + multiSignature + 1025)),
    ],
    ['the item ends inside a field', vectorBytes('multi-aptos, message').subarray(0, 100)],
  ]
}

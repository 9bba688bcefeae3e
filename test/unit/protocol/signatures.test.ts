import assert from 'node:assert/strict'
import { type DataItem, signedDigest, verifyDataItem } from '../../../src/protocol/data-item.ts'
import { ethereumAddress } from '../../../src/protocol/ethereum.ts'
import { ownerFault, verifySignature } from '../../../src/protocol/signatures.ts'
import { vectorBytes } from '../../support/vectors.ts'

const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
const ed25519Order = 2n ** 252n + 27742317777372353535851937790883648493n

/** Whether the item's own signature, changed by `change`, is still good. */
function verdict(item: DataItem, change: (signature: Buffer) => void): boolean {
  const signature = Buffer.from(item.signature)
  change(signature)
  return verifySignature(item.signatureType, item.ownerKey, signedDigest(item), signature)
}

describe('protocol/signatures: one signature has one id', () => {
  for (const name of ['ethereum, message', 'typed-ethereum, message']) {
    describe(name, () => {
      let item: DataItem
      before(async () => {
        item = await verifyDataItem(vectorBytes(name))
      })

      it('takes the signature as it is', () => {
        assert.equal(
          verdict(item, () => undefined),
          true,
        )
      })

      it('refuses every other v, the wrong parity among them', () => {
        const own = item.signature[64]
        for (let v = 0; v < 256; v++) {
          const valid = verdict(item, signature => signature.writeUInt8(v, 64))
          assert.equal(valid, v === own, `v = ${v}`)
        }
      })

      it('refuses the mirrored signature: high s, with either parity', () => {
        for (const v of [27, 28]) {
          const valid = verdict(item, signature => {
            const s = BigInt(`0x${signature.toString('hex', 32, 64)}`)
            signature.write((order - s).toString(16).padStart(64, '0'), 32, 'hex')
            signature.writeUInt8(v, 64)
          })
          assert.equal(valid, false)
        }
      })

      it('refuses r and s of zero, at the order and above it', () => {
        for (const [offset, value] of [0n, order, order + 1n, 2n ** 256n - 1n].flatMap(
          value =>
            [
              [0, value],
              [32, value],
            ] as const,
        )) {
          const valid = verdict(item, signature => signature.write(value.toString(16).padStart(64, '0'), offset, 'hex'))
          assert.equal(valid, false, `${value} at ${offset}`)
        }
      })
    })
  }

  it('takes an Ethereum key in its uncompressed form only', async () => {
    const { ownerKey } = await verifyDataItem(vectorBytes('ethereum, bare'))
    const hybrid = Buffer.from(ownerKey)
    hybrid[0] = 6 + ((ownerKey[64] ?? 0) & 1)
    assert.equal(ownerFault(3, ownerKey), undefined)
    assert.match(ownerFault(3, hybrid) ?? '', /uncompressed/)
  })

  it('takes a typed Ethereum owner in lower case only', async () => {
    const { ownerKey } = await verifyDataItem(vectorBytes('typed-ethereum, bare'))
    const text = Buffer.from(ownerKey).toString()
    assert.equal(ownerFault(7, ownerKey), undefined)
    for (const other of [
      text.toUpperCase(),
      text.replace('0x', '0X'),
      `${text.slice(0, 41)}g`,
      ethereumAddress(7, ownerKey),
    ]) {
      assert.match(ownerFault(7, Buffer.from(other)) ?? '', /lower-case/, other)
    }
  })

  for (const name of ['ed25519, message', 'solana, message', 'aptos, message']) {
    it(`refuses S + L where S was signed: ${name}`, async () => {
      const item = await verifyDataItem(vectorBytes(name))
      assert.equal(
        verdict(item, () => undefined),
        true,
      )
      assert.equal(verdict(item, addOrder(32)), false)
    })
  }

  it('takes an RSA modulus of 4096 bits only', async () => {
    const item = await verifyDataItem(vectorBytes('arweave, message'))
    const changed = (change: (owner: Buffer) => void): string | undefined => {
      const owner = Buffer.from(item.ownerKey)
      change(owner)
      return ownerFault(1, owner)
    }
    assert.equal(
      changed(() => undefined),
      undefined,
    )
    assert.match(changed(owner => owner.writeUInt8(0x7f, 0)) ?? '', /4096-bit/)
    assert.match(changed(owner => owner.writeUInt8(0, 0)) ?? '', /4096-bit/)
    assert.match(changed(owner => owner.writeUInt8(2, 511)) ?? '', /4096-bit/)
  })

  it('refuses every number that could stand for an RSA signature but is not it', async () => {
    const item = await verifyDataItem(vectorBytes('arweave, message'))
    const n = BigInt(`0x${Buffer.from(item.ownerKey).toString('hex')}`)
    const s = BigInt(`0x${Buffer.from(item.signature).toString('hex')}`)
    for (const other of [n - s, (s + n) % 2n ** 4096n, s ^ 1n, 0n, n]) {
      const text = other.toString(16).padStart(1024, '0')
      assert.equal(
        verdict(item, signature => signature.write(text, 0, 'hex')),
        false,
      )
    }
  })

  it('answers false, without throwing, for keys and signatures that are none', () => {
    const digest = new Uint8Array(48)
    for (const fill of [0, 1, 0x7f, 0x80, 0xff]) {
      assert.equal(verifySignature(1, new Uint8Array(512).fill(fill), digest, new Uint8Array(512).fill(fill)), false)
      assert.equal(verifySignature(2, new Uint8Array(32).fill(fill || 2), digest, new Uint8Array(64).fill(fill)), false)
      assert.equal(verifySignature(3, new Uint8Array(65).fill(fill), digest, new Uint8Array(65).fill(27)), false)
    }
  })
})

describe('protocol/signatures: Aptos with several keys (two of three)', () => {
  let item: DataItem
  before(async () => {
    item = await verifyDataItem(vectorBytes('multi-aptos, message'))
  })
  const bitmapAt = 32 * 64

  it('takes exactly as many signatures as the owner asks for', () => {
    assert.equal(
      verdict(item, () => undefined),
      true,
    )
  })

  it('refuses none at all, which arbundles takes as valid', () => {
    assert.equal(
      verdict(item, signature => signature.fill(0)),
      false,
    )
  })

  it('refuses one signature less', () => {
    const valid = verdict(item, signature => {
      signature.fill(0, 2 * 64, 3 * 64)
      signature.writeUInt8(0x80, bitmapAt)
    })
    assert.equal(valid, false)
  })

  it('refuses anything in a place that is not stated as signed', () => {
    assert.equal(
      verdict(item, signature => signature.writeUInt8(1, 64)),
      false,
    )
    assert.equal(
      verdict(item, signature => signature.writeUInt8(1, 31 * 64)),
      false,
    )
  })

  it('refuses S + L in one of its signatures', () => {
    assert.equal(verdict(item, addOrder(2 * 64 + 32)), false)
  })

  it('refuses owners who ask for no signature, or for more than there can be', () => {
    const owner = Buffer.from(item.ownerKey)
    for (const [threshold, good] of [
      [0, false],
      [1, true],
      [32, true],
      [33, false],
      [255, false],
    ] as const) {
      owner.writeUInt8(threshold, 1024)
      assert.equal(ownerFault(6, owner) === undefined, good, `${threshold}`)
    }
  })
})

/** Adds the order of Ed25519 to the little-endian number at `offset`. */
const addOrder =
  (offset: number) =>
  (signature: Buffer): void => {
    const s = BigInt(
      `0x${Buffer.from(signature.subarray(offset, offset + 32))
        .reverse()
        .toString('hex')}`,
    )
    const text = (s + ed25519Order).toString(16).padStart(64, '0')
    Buffer.from(text, 'hex').reverse().copy(signature, offset)
  }

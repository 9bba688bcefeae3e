import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { meterModule } from '../../../../src/vm/meter/meter.ts'
import { gas1Prices, legacyPrices, type PriceTable } from '../../../../src/vm/meter/prices.ts'

// Modules as bytes, not as text: another compiler must not be able to change what is compared.
const golden = {
  // Stores and returns floats through sqrt, promote, mul and div.
  floats: {
    plain: 'AGFzbQEAAAABBwFgAn18AXwDAgEABQMBAAEHBQEBZgAAChwBGgBBACAAkTgCACABIAC7okQAAAAAAAAIQKML',
    legacy: '0025679e142d4ce6df496f7cbd1000caace03d97c3a8883791b9ffce2bc44dd2',
    gas1: 'f9e18d08b29da8743f00c059b14a3e780b895dc98b0bb060ac245901c14b81b2',
  },
  // memory.fill, copy, init and grow, and a mutable global.
  memory: {
    plain:
      'AGFzbQEAAAABBgFgAX8BfwMCAQAFBAEBARQGBwF/AUGACAsHDgIGbWVtb3J5AgABZgAADAEBCiwBKgBBAEEBIAD8CwBBCUEAIAD8CgAA' +
      'QQBBAEEH/AgAACMAIABqJABBAUAACwsKAQEHcGFzc2l2ZQ==',
    legacy: '878ddff06db98a25e87a940a9319f595a94beb418931131042916a02e96a8333',
    gas1: 'cd9fedcb3d3c30ef4d26b7faff0ae98359ce2e5f69b9b8a807269d7d80de5a56',
  },
  // A loop, an exception, a vector, and calls to the host, through a table and in place of a return.
  calls: {
    plain:
      'AGFzbQEAAAABCQJgAX8Bf2AAAAIHAQFoAWYAAAMDAgAABAUBcAEBAQ0DAQABBwUBAWYAAgkHAQBBAAsBAQo9AjQCAX4BewJAA0AgAEUN' +
      'ASAAQQFrIQAMAAsLBkAIAAcAGQsgAiAC/fABIQIgABAAQQARAAALBgAgABIBCw==',
    legacy: 'c6a60abdd52384417fb6e797d895ad5591f91a77199ed7f19b7e9313a1a2ee1a',
    gas1: '341b018a1caf713397cace38344a8a05f30822e8a71c30ef7549ea8662ee00db',
  },
} as const

const digest = (base64: string, prices: PriceTable): string =>
  createHash('sha256')
    .update(meterModule(Buffer.from(base64, 'base64'), { prices }).bytes)
    .digest('hex')

/** A red test here means that `identity` needs a new version: nodes that run the old bytes would disagree. */
describe('vm/meter: the bytes of legacy-1 and gas-1', () => {
  for (const [name, { plain, legacy, gas1 }] of Object.entries(golden)) {
    it(`are the recorded ones for ${name}`, () => {
      assert.equal(digest(plain, legacyPrices), legacy)
      assert.equal(digest(plain, gas1Prices), gas1)
    })
  }

  it('are named by the tables that make them', () => {
    const { identity } = meterModule(Buffer.from(golden.floats.plain, 'base64'), { prices: legacyPrices })
    assert.deepEqual([identity, gas1Prices.identity], ['legacy-1', 'gas-1'])
  })
})

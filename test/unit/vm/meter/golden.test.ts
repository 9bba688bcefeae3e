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
    legacy: '1b5a57930f4ec105ee98c1186a9822295431fe97398ce51441fbbfeba62afedd',
    gas1: '20e6cef3b68d7d318c0a323bb38ffb42d18f584e384561cdd829296219493eb0',
  },
  // A loop, an exception, a vector, and calls to the host, through a table and in place of a return.
  calls: {
    plain:
      'AGFzbQEAAAABCQJgAX8Bf2AAAAIHAQFoAWYAAAMDAgAABAUBcAEBAQ0DAQABBwUBAWYAAgkHAQBBAAsBAQo9AjQCAX4BewJAA0AgAEUN' +
      'ASAAQQFrIQAMAAsLBkAIAAcAGQsgAiAC/fABIQIgABAAQQARAAALBgAgABIBCw==',
    legacy: '00b882c16bd227b57d98193a229e52758fc4325c53227c5de7bc6a70d1f1f093',
    gas1: '50312b6b170858131740169de19e235e35648738becb5d8299150bd558350af5',
  },
} as const

const digest = (base64: string, prices: PriceTable): string =>
  createHash('sha256')
    .update(meterModule(Buffer.from(base64, 'base64'), { prices }).bytes)
    .digest('hex')

/**
 * A red test here means that `identity` needs a new version, because nodes that run the old bytes would disagree; unless
 * every other test of the meter shows that gas, traps and results are still those of before.
 */
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

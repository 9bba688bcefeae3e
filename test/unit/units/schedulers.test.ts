import assert from 'node:assert/strict'
import { AoError, hasCode } from '../../../src/lib/errors.ts'
import type { PeerDirectory } from '../../../src/ports/peers.ts'
import type { RemoteUnits } from '../../../src/ports/units.ts'
import { Schedulers, type SchedulersDeps } from '../../../src/units/routing/schedulers.ts'
import { testSigner } from '../../support/builders.ts'

describe('units/routing: who a scheduler is', () => {
  const stranger = testSigner('stranger').address

  for (const [what, found, code] of [
    ['that it may not go there', new AoError('NOT_ALLOWED', 'a private address'), 'NOT_ALLOWED'],
    ['that nobody is there, if Arweave cannot be asked', new AoError('SETTLEMENT_FAILED', 'down'), 'PEER_UNREACHABLE'],
    ['that nobody is there, if it published nothing', undefined, 'PEER_UNREACHABLE'],
  ] as const) {
    it(`says of one that is no peer ${what}`, async () => {
      const schedulers = new Schedulers(depsWhere(found), 10)
      await assert.rejects(schedulers.at(stranger), error => hasCode(error, code))
      await assert.rejects(schedulers.foreignAt(stranger), error => hasCode(error, code))
    })
  }
})

/** No peer ever shows up; looking abroad fails so, or finds nothing. */
const depsWhere = (failure: AoError | undefined): SchedulersDeps => ({
  local: { address: testSigner('su').address },
  directory: {
    get: () => undefined,
    waitFor: async () => {
      throw new AoError('DEADLINE', 'nobody came')
    },
  } as unknown as PeerDirectory,
  remote: {} as RemoteUnits,
  foreign: {
    known: () => undefined,
    find: async () => {
      if (failure !== undefined) throw failure
      return undefined
    },
  },
})

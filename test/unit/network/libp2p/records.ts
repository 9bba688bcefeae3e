import type { Clock } from '../../../../src/lib/clock.ts'
import { peerIdOf } from '../../../../src/network/libp2p/peer-key.ts'
import type { DataItem } from '../../../../src/protocol/data-item.ts'
import { type PrivateJwk, signerFromJwk } from '../../../../src/protocol/keys.ts'
import { draftUnitRecord, type UnitRecordFields } from '../../../../src/protocol/unit-record.ts'
import { testJwk } from '../../../support/builders.ts'

export const network = 'N'.repeat(43)

/** A clock that stands still until it is told to move. */
export class StillClock implements Clock {
  time = 1_700_000_000_000
  now(): number {
    return this.time
  }
  pass(ms: number): void {
    this.time += ms
  }
}

export interface RecordOptions extends Partial<UnitRecordFields> {
  readonly jwk?: PrivateJwk
}

/** A signed record of the key that the seed stands for, issued now and living for 90 s. */
export function aRecord(seed: string, clock: Clock, options: RecordOptions = {}): Promise<DataItem> {
  const { jwk = testJwk(seed), ...fields } = options
  const peer = fields.peer ?? (jwk['kty'] === 'OKP' ? peerIdOf(jwk) : peerIdOf(testJwk(seed)))
  const issuedAt = fields.issuedAt ?? clock.now()
  return signerFromJwk(jwk).sign(
    draftUnitRecord({
      roles: ['CU'],
      peer,
      multiaddrs: [`/ip4/127.0.0.1/tcp/4001/p2p/${peer}`],
      grpc: '127.0.0.1:50051',
      certificate: new Uint8Array(600).fill(7),
      network,
      issuedAt,
      expiresAt: issuedAt + 90_000,
      formats: [],
      ...fields,
    }),
  )
}

export const mutated = (bytes: Uint8Array, at: number): Uint8Array => {
  const copy = Uint8Array.from(bytes)
  copy[at] = (copy[at] ?? 0) ^ 1
  return copy
}

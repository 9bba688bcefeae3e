import { commitmentOf } from '../../src/economy/commits.ts'
import { toBase64Url } from '../../src/lib/bytes.ts'
import type { Json } from '../../src/lib/json.ts'
import type { OriginEnvironment, OriginMessage } from '../../src/modules/ao-sec-origin/message.ts'
import { packBundle } from '../../src/protocol/bundle.ts'
import { parseStoredItem } from '../../src/protocol/data-item.ts'
import { type EconomyParams, testnetEconomy } from '../../src/protocol/economy-params.ts'
import { type Evidence, evidenceDigest } from '../../src/protocol/evidence.ts'
import type { ProcessId } from '../../src/protocol/ids.ts'
import { anId, testSigner } from './builders.ts'

export const originId = anId<ProcessId>('ao-sec origin')
export const addressOf = (name: string): string => testSigner(name).address

/** Parameters with a holder who earns everything, called `faucet`, and three reporters. */
export const originParams: EconomyParams = {
  ...testnetEconomy,
  holdings: [{ resource: 'AR', class: 'ar', weight: '1', holder: addressOf('faucet'), quantity: '1' }],
  oracle: { ...testnetEconomy.oracle, reporters: ['oracle1', 'oracle2', 'oracle3'].map(addressOf) },
}

export const originEnvironment: OriginEnvironment = {
  Process: { Id: originId, Tags: [{ name: 'Authority', value: addressOf('mu') }] },
}

/** Messages to AO-Sec Origin, numbered, at a height that the test moves. */
export class OriginMessages {
  height = 1000
  /** Of the block, in milliseconds; without it, by the height. */
  timestamp: number | undefined
  #count = 0

  /** Nonce 0: the Process item. */
  spawn(params: EconomyParams = originParams): OriginMessage {
    return this.#make(addressOf('owner'), {}, JSON.stringify(params))
  }

  /** @param from a name whose test key sent it. */
  next(from: string, action: string, tags: Readonly<Record<string, string>> = {}, data = ''): OriginMessage {
    return this.#make(addressOf(from), { Action: action, ...tags }, data)
  }

  #make(from: string, tags: Readonly<Record<string, string>>, data: string): OriginMessage {
    const nonce = this.#count++
    const message: Readonly<Record<string, Json>> = {
      Id: anId(`origin message ${nonce}`),
      Target: originId,
      From: from,
      Owner: from,
      Data: data,
      Tags: Object.entries(tags).map(([name, value]) => ({ name, value })),
      Nonce: nonce,
      Epoch: 0,
      Timestamp: 1_800_000_000_000,
      'Block-Height': this.height,
      'Block-Timestamp': this.timestamp ?? originParams.emission.genesisMs + 300_000 * 10_000 + this.height * 1000,
      'Hash-Chain': anId(`chain ${nonce}`),
      Cron: false,
      'Read-Only': false,
    }
    return message as unknown as OriginMessage
  }
}

/** Signed items as the Data of a message. */
export const dataOf = (...items: readonly Uint8Array[]): string =>
  toBase64Url(packBundle(items.map(raw => parseStoredItem(raw))))

/** The tags of `Commit-Evidence` and `Submit-Evidence`. */
export function accusation(evidence: Evidence, reporter: string, salt = 'salt') {
  const digest = evidenceDigest(evidence)
  return {
    commit: { Digest: commitmentOf(digest, salt, addressOf(reporter)) },
    submit: { Kind: evidence.kind, Unit: evidence.unit, Process: evidence.process, Salt: salt },
    data: dataOf(...evidence.proof),
    digest,
  }
}

import { AoError } from '../../lib/errors.ts'
import { failpoint } from '../../lib/failpoint.ts'
import type { CrankJob, CrankQueue } from '../../ports/crank-queue.ts'
import { type DataItem, type Draft, parseStoredItem } from '../../protocol/data-item.ts'
import type { Address } from '../../protocol/ids.ts'
import type { Signer } from '../../protocol/keys.ts'
import type { ProcessRoute } from '../routing/route.ts'

export interface ForeignPartsDeps {
  /** Signs by RSA, which SUs everywhere know; undefined: this MU has no such key. */
  readonly foreignSigner?: Signer | undefined
  readonly queue: Pick<CrankQueue, 'signedPart' | 'keepSignedPart'>
}

export interface ForeignPart {
  /** Place in the outbox. */
  readonly index: number
  readonly believer?: ProcessRoute | undefined
}

/**
 * What goes to SUs of other networks. They know RSA and Ethereum signatures only, and tell a repeat by its id alone: a
 * part is on disk as it was signed before it goes out, and goes out as that again whatever key this MU has by then.
 */
export class ForeignParts {
  readonly #deps: ForeignPartsDeps

  constructor(deps: ForeignPartsDeps) {
    this.#deps = deps
  }

  /**
   * @param at.believer who is to believe it: asked before it is signed, for what is kept may have gone out.
   * @throws AoError `UNSUPPORTED` without an RSA key; `NOT_ALLOWED` if the Process would not believe that key.
   */
  async signed({ process, message }: CrankJob, draft: Draft, { index, believer }: ForeignPart): Promise<DataItem> {
    const { queue } = this.#deps
    const kept = await queue.signedPart(process, message, index)
    if (kept !== undefined) return parseStoredItem(kept)
    const signer = this.#signer()
    if (believer?.spec.authorities.includes(signer.address) === false) throw notBelieved(believer, signer.address)
    const item = await signer.sign(draft)
    failpoint('foreign-signed')
    await queue.keepSignedPart(process, message, index, item.raw)
    failpoint('foreign-kept')
    return item
  }

  #signer(): Signer {
    const { foreignSigner } = this.#deps
    if (foreignSigner !== undefined) return foreignSigner
    throw new AoError(
      'UNSUPPORTED',
      'the part goes to another network, whose SUs know RSA and Ethereum signatures only, and this MU has no RSA key',
      {},
      {
        hint: 'Give this MU an RSA wallet with arweaveWallet, then have the message cranked again.',
      },
    )
  }
}

const notBelieved = ({ item: { id: process } }: ProcessRoute, authority: Address): AoError =>
  new AoError(
    'NOT_ALLOWED',
    `the Process ${process} of another network has no tag Authority: ${authority}, the RSA key of this MU`,
    { process, authority },
    { hint: `Spawn it with the tag Authority: ${authority}.` },
  )

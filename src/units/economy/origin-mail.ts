import type { AbortOptions } from '../../lib/abort.ts'
import { toBase64Url, utf8 } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import type { ArweaveClient } from '../../ports/settlement.ts'
import type { Messenger } from '../../ports/units.ts'
import type { ProcessId } from '../../protocol/ids.ts'
import type { Signer } from '../../protocol/keys.ts'
import { type Tag, tagsOf } from '../../protocol/tags.ts'
import { failureFacts } from '../failure.ts'

export interface OriginMailDeps {
  readonly signer: Signer
  readonly messenger: Pick<Messenger, 'submit'>
  readonly arweave: Pick<ArweaveClient, 'upload'>
  readonly clock: Clock
  readonly telemetry: Telemetry
}

/**
 * What a node itself says to AO-Sec Origin. Where no SU takes it, it goes straight to Arweave: there it cannot be
 * passed over.
 */
export class OriginMail {
  readonly #deps: OriginMailDeps
  #sent = 0

  constructor(deps: OriginMailDeps) {
    this.#deps = deps
  }

  /** Never throws: who sends looks in the replayed economy whether it came, and sends again. */
  async send(origin: ProcessId, tags: readonly Tag[], data: string, options: AbortOptions): Promise<void> {
    const { signer, messenger, arweave, clock, telemetry } = this.#deps
    const ao = tagsOf(['Data-Protocol', 'ao'], ['Variant', 'ao.TN.1'], ['Type', 'Message'])
    // Signatures are deterministic: without an anchor of its own, a second try would be the same item.
    const anchor = toBase64Url(utf8(`${clock.now()} ${this.#sent++}`.padStart(24, '0'))).slice(0, 32)
    const item = await signer.sign({ target: origin, anchor, tags: [...tags, ...ao], data: utf8(data) })
    try {
      await messenger.submit(item.raw, options)
    } catch (error) {
      telemetry.log.warn('ao-sec-origin-not-reached', failureFacts(error))
      await arweave
        .upload(item, options)
        .catch(failure => telemetry.log.warn('not-posted-to-arweave', failureFacts(failure)))
    }
  }
}

import { utf8 } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Component } from '../../lib/component.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import type { ArweaveClient } from '../../ports/settlement.ts'
import type { Draft } from '../../protocol/data-item.ts'
import type { Signer } from '../../protocol/keys.ts'
import { tagsOf } from '../../protocol/tags.ts'
import { type Session, sessionText } from '../../protocol/unit-record.ts'
import { Loop } from '../loop.ts'

export interface LocationDeps {
  /** The scheduler: the item's owner is whom `Scheduler` tags name. */
  readonly signer: Signer
  readonly arweave: ArweaveClient
  readonly clock: Clock
  readonly telemetry: Telemetry
  /** Where its HTTP face is now, without a slash at the end. Asked for at each publication. */
  readonly url: () => string
  /** Hash of the network's parameters, named there: its own network finds the SU as a peer, others by its URL. */
  readonly network: string
  /** Named there, so that a copy of this scheduler's data finds that it is not the newest. */
  readonly session?: (() => Session) | undefined
}
export interface LocationOptions {
  /** How long readers may keep what they read, in milliseconds. */
  readonly timeToLiveMs: number
  readonly retryMs: number
}
export const defaultLocationOptions: LocationOptions = { timeToLiveMs: 24 * 60 * 60_000, retryMs: 5_000 }

/** Tells AO clients on Arweave where this SU is: at the start, and again when half of the time to live is over. */
export class LocationPublisher implements Component {
  readonly name = 'scheduler location'
  readonly #loop: Loop

  constructor(
    { signer, arweave, clock, telemetry, url, network, session }: LocationDeps,
    options: LocationOptions = defaultLocationOptions,
  ) {
    const { timeToLiveMs, retryMs } = options
    this.#loop = new Loop(
      async abort => {
        const location = { url: url(), timeToLiveMs, now: clock.now(), network, session: session?.() }
        await arweave.upload(await signer.sign(draftLocation(location)), abort)
        telemetry.log.debug('location-published', { url: location.url })
        return timeToLiveMs / 2
      },
      telemetry.log,
      { name: this.name, failurePauseMs: retryMs },
    )
  }

  start(): Promise<void> {
    return this.#loop.start()
  }

  stop(): Promise<void> {
    return this.#loop.stop()
  }
}

interface Location {
  readonly url: string
  readonly timeToLiveMs: number
  readonly now: number
  readonly network: string
  readonly session: Session | undefined
}

/** With its time, or a URL that was left and taken again would be an item of before, and the one between count as newer. */
const draftLocation = (location: Location): Draft => ({
  data: utf8(' '), // bundlers refuse items without data
  tags: tagsOf(
    ['Data-Protocol', 'ao'],
    ['Type', 'Scheduler-Location'],
    ['Variant', 'ao.TN.1'],
    ['Url', location.url],
    ['Time-To-Live', String(location.timeToLiveMs)],
    ['Timestamp', String(location.now)],
    ['Network', location.network],
    ['Session', location.session && sessionText(location.session)],
  ),
})

import type { Metadata, ServerInterceptingCallInterface } from '@grpc/grpc-js'
import { systemClock } from '../../lib/clock.ts'
import { type AoError, refusal } from '../../lib/errors.ts'
import { bearsToken, memberHint } from '../../lib/member-token.ts'
import { type RateLimit, RateLimiter } from '../../lib/rate-limiter.ts'
import type { Metrics } from '../../lib/telemetry.ts'
import { Patience } from './patience.ts'

/** A unit of the network that showed the certificate of its record. */
export interface KnownCaller {
  readonly address: string
  readonly peer: string
}

/**
 * What a caller does that it should not: calls a second, and open at once, above its limits (refused); messages of streams
 * above its rate (held back); going on all the same (hung up on); a request that does not arrive; a frame above the limit;
 * a connection above the limit, or one without a TLS handshake.
 */
export type CallerOffence =
  | 'grpc-rate'
  | 'grpc-open'
  | 'grpc-held'
  | 'grpc-cut'
  | 'grpc-slow'
  | 'grpc-too-large'
  | 'grpc-connections'
  | 'grpc-handshake'

export interface CallersDeps {
  /** Whose record carries this certificate (DER)? */
  identify?(certificate: Uint8Array): KnownCaller | undefined
  /** Whether a unit is not served at all. */
  isRefused?(caller: KnownCaller): boolean
  /** Of a private network: what callers who are no known units have to show. */
  readonly memberToken?: string | undefined
  /** @param caller A known unit, or the IP address of a stranger. */
  onOffence?(caller: KnownCaller | string, offence: CallerOffence): void
}

/** Calls and messages of streams, and how many calls and streams may be open at once. */
export interface CallerLimit extends RateLimit {
  readonly maxOpen: number
}

export interface CallerLimits {
  /** Of all who call from one IP address without a certificate we know. */
  readonly stranger: CallerLimit
  /** Of one unit. */
  readonly unit: CallerLimit
}

export interface Caller {
  readonly key: string
  readonly known: KnownCaller | undefined
  readonly session: Session | undefined
}

const maxCallers = 4096
/**
 * What a call of its own counts, in messages of a stream, which cost that much less. Of a stranger both count the same,
 * for his rate is low.
 */
const callWeight = { stranger: 1, unit: 10 } as const

/**
 * Who calls, and how much of it is too much. Units are known by the certificate they show, which TLS proves is theirs;
 * everybody else shares a bucket per IP address, for certificates cost nothing.
 */
export class Callers {
  readonly #deps: CallersDeps
  readonly #limits: CallerLimits | undefined
  readonly #strangers: RateLimiter | undefined
  readonly #units: RateLimiter | undefined
  readonly #open = new Map<string, number>()
  readonly #patience = new Patience()
  /** A connection is one caller for as long as it lives. */
  readonly #sessions = new WeakMap<Session, Caller>()
  /** What each connection shows, for TLS takes long to say it. */
  readonly #shown = new WeakMap<Session, Uint8Array | 'nothing'>()

  /** @param limits Without them nobody is counted. */
  constructor(deps: CallersDeps, limits: CallerLimits | undefined, metrics: Metrics) {
    this.#deps = deps
    this.#limits = limits
    this.#strangers = limits && new RateLimiter(systemClock, { ...limits.stranger, maxKeys: maxCallers })
    this.#units = limits && new RateLimiter(systemClock, { ...limits.unit, maxKeys: maxCallers })
    metrics.gauge('aonet_network_grpc_callers', 'Callers with a gRPC call open', () => this.#open.size)
  }

  of(call: ServerInterceptingCallInterface): Caller {
    const session = sessionOf(call)
    const cached = session && this.#sessions.get(session)
    if (cached !== undefined) return cached
    const known = session && this.#identify(session)
    const caller = { key: known?.address ?? ipOf(call.getPeer()), known, session }
    // A unit whose record comes later is looked for again with its next call.
    if (session !== undefined && (known !== undefined || this.#certificateOf(session) === undefined)) {
      this.#sessions.set(session, caller)
    }
    return caller
  }

  /** Ends a connection at its beginning if its caller is cut off for a while. */
  greet(session: Session): void {
    const known = this.#identify(session)
    const { remoteAddress = '' } = session.socket ?? {}
    if (this.#patience.hasLostWith(known?.address ?? ipOf(`${remoteAddress}:0`))) session.destroy()
  }

  /** Counts one message of a stream, if it is within the caller's rate. */
  mayGoOn({ key, known }: Caller, cost = 1): boolean {
    const limiter = known === undefined ? this.#strangers : this.#units
    return limiter === undefined || limiter.take(key, cost)
  }

  /** @param shown What the call shows. @returns why the caller may not ask at all, if so. */
  admit(caller: Caller, shown: Metadata): AoError | undefined {
    const { memberToken } = this.#deps
    if (memberToken === undefined || caller.known !== undefined) return undefined
    if (bearsToken(shown.get('authorization')[0]?.toString(), memberToken)) return undefined
    this.#refused(caller)
    return refusal('UNAUTHENTICATED', 'this is a private network', {}, { hint: memberHint })
  }

  /** Counts one call. @returns why it is too much, if it is. */
  take(caller: Caller): AoError | undefined {
    const refusal = this.#refusal(caller)
    if (refusal !== undefined) this.#refused(caller)
    return refusal
  }

  #refused(caller: Caller): void {
    const isCut = this.#patience.hasLostWith(caller.key)
    if (!this.#patience.losesWith(caller.key)) return
    if (!isCut) this.blame(caller, 'grpc-cut')
    caller.session?.destroy()
  }

  #refusal(caller: Caller): AoError | undefined {
    if (caller.known !== undefined && this.#deps.isRefused?.(caller.known) === true) {
      const hint = 'Ask the operator of this node, or wait: a ban ends after two minutes.'
      return refusal('NOT_ALLOWED', 'this unit is not served here', { address: caller.key }, { hint })
    }
    if (this.mayGoOn(caller, callWeight[caller.known === undefined ? 'stranger' : 'unit'])) return undefined
    this.blame(caller, 'grpc-rate')
    return tooMuch('calls a second', this.#limitOf(caller)?.perSecond ?? 0)
  }

  /** @returns why one more open call is too much, if it is. */
  enter(caller: Caller): AoError | undefined {
    const { key } = caller
    const open = this.#open.get(key) ?? 0
    if (open >= (this.#limitOf(caller)?.maxOpen ?? Number.POSITIVE_INFINITY)) {
      this.blame(caller, 'grpc-open')
      return tooMuch('calls open at once', open)
    }
    this.#open.set(key, open + 1)
    return undefined
  }

  leave({ key }: Caller): void {
    const open = (this.#open.get(key) ?? 1) - 1
    if (open > 0) this.#open.set(key, open)
    else this.#open.delete(key)
  }

  blame({ key, known }: Caller, offence: CallerOffence): void {
    this.#deps.onOffence?.(known ?? key, offence)
  }

  #limitOf({ known }: Caller): CallerLimit | undefined {
    return known === undefined ? this.#limits?.stranger : this.#limits?.unit
  }

  #identify(session: Session): KnownCaller | undefined {
    const certificate = this.#certificateOf(session)
    return certificate === undefined ? undefined : this.#deps.identify?.(certificate)
  }

  #certificateOf(session: Session): Uint8Array | undefined {
    const shown = this.#shown.get(session) ?? session.socket?.getPeerCertificate?.().raw ?? 'nothing'
    this.#shown.set(session, shown)
    return shown === 'nothing' ? undefined : shown
  }
}

export interface Session {
  readonly socket?: { readonly remoteAddress?: string; getPeerCertificate?(): { readonly raw?: Uint8Array } }
  destroy(): void
}

/** grpc-js tells of certificates that an authority signed only; ours are self-signed, so we look at the socket itself. */
const sessionOf = (call: ServerInterceptingCallInterface): Session | undefined =>
  (call as unknown as { stream?: { session?: Session } }).stream?.session

/** `1.2.3.4:567` and `::1:567` without the port. One IPv6 host owns 2^64 addresses, so of those the first half counts. */
export function ipOf(peer: string): string {
  const host = peer.slice(0, Math.max(0, peer.lastIndexOf(':'))).replace(/^::ffff:/, '')
  if (!host.includes(':')) return host
  const [head = '', tail] = host.split('::')
  const groups = head.split(':').filter(part => part !== '')
  const missing = tail === undefined ? 0 : 8 - groups.length - tail.split(':').filter(part => part !== '').length
  return [...groups, ...Array.from({ length: missing }, () => '0'), ...(tail?.split(':') ?? [])].slice(0, 4).join(':')
}

const tooMuch = (what: string, limit: number): AoError =>
  refusal('OVERLOADED', `too many ${what} of one caller`, { limit }, { hint: 'Call less often, or another unit.' })

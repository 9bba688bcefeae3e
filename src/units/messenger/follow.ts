import { type AbortOptions, throwIfAborted } from '../../lib/abort.ts'
import { AoError, hasCode } from '../../lib/errors.ts'
import type { CrankJob, CrankQueue } from '../../ports/crank-queue.ts'
import type { PeerDirectory } from '../../ports/peers.ts'
import type { CrankProgress, FollowOptions, RemoteUnits } from '../../ports/units.ts'
import type { Address, MessageId } from '../../protocol/ids.ts'
import type { Feed } from './feed.ts'
import { isEnded } from './job.ts'

export interface FollowDeps {
  readonly address: Address
  readonly queue: Pick<CrankQueue, 'ofRoot'>
  readonly feed: Feed
  readonly directory: Pick<PeerDirectory, 'get'>
  readonly remote: Pick<RemoteUnits, 'messenger'>
  /** @throws AoError `STOPPING` once the unit stops. */
  readonly assertLiving: () => void
}

/** Progress of all that a root set off here, newest state of each; ends when all is quiet. */
export async function* followOwn(root: MessageId, deps: FollowDeps, options: FollowOptions): AsyncGenerator<CrankJob> {
  const { queue, feed, assertLiving } = deps
  const { signal, once = false } = options
  const reader = feed.open(root) // before the disk is read, so that no change falls between
  try {
    const open = new Set<string>()
    for (let jobs = await queue.ofRoot(root); ; jobs = reader.take()) {
      for (const job of jobs) {
        const key = `${job.process} ${job.message}`
        if (isEnded(job)) open.delete(key)
        else open.add(key)
      }
      for (const job of jobs) {
        throwIfAborted(signal)
        yield job
      }
      if (once || (open.size === 0 && reader.isEmpty())) return
      assertLiving()
      await reader.wait({ signal })
    }
  } finally {
    reader.close()
  }
}

interface Source {
  readonly rows: AsyncIterator<CrankProgress>
  next: Promise<IteratorResult<CrankProgress>>
  /** Something more was handed to this MU since its rows began. */
  stale: boolean
}
type Opening = (at: Pick<CrankProgress, 'process' | 'message'>) => AsyncIterable<CrankProgress>

/**
 * As `followOwn`, and what other MUs push of it: each that a part was handed to is followed as well.
 *
 * @throws AoError what another MU failed with, once all others are quiet.
 */
export async function* followAll(
  job: CrankJob,
  deps: FollowDeps,
  options: FollowOptions,
): AsyncGenerator<CrankProgress> {
  const sources = new Map<Address, Source>()
  const seen = new Set<string>()
  let failure: unknown
  const open = (address: Address, at: Pick<CrankProgress, 'process' | 'message'>): void => {
    const rows = openingOf(address, job.root, deps, options)(at)[Symbol.asyncIterator]()
    const next = rows.next()
    next.catch(() => undefined) // heard when its turn comes
    sources.set(address, { rows, next, stale: false })
  }
  open(deps.address, job)
  try {
    while (sources.size > 0) {
      const { address, source, outcome } = await firstOf(sources)
      if ('error' in outcome || outcome.done === true) {
        sources.delete(address)
        if ('error' in outcome) failure = await failureOf(outcome.error, options, failure)
        else if (source.stale) open(address, job)
        continue
      }
      source.next = source.rows.next()
      source.next.catch(() => undefined)
      yield outcome.value
      for (const to of handovers(outcome.value, seen)) {
        const known = sources.get(to)
        if (known === undefined) open(to, outcome.value)
        else known.stale = true
      }
    }
  } finally {
    for (const { rows } of sources.values()) void rows.return?.()
  }
  if (failure !== undefined) throw failure
}

function openingOf(address: Address, root: MessageId, deps: FollowDeps, options: FollowOptions): Opening {
  if (address === deps.address) return () => followOwn(root, deps, options)
  return async function* ({ process, message }) {
    const record = deps.directory.get(address)
    if (record === undefined) throw gone(address)
    yield* deps.remote.messenger(record).follow(process, message, { ...options, ownOnly: true })
  }
}

/** The MUs that a job handed parts to, each once: what is shown again is no news. */
function handovers({ process, message, parts }: CrankProgress, seen: Set<string>): readonly Address[] {
  const found: Address[] = []
  for (const { handedTo } of parts) {
    const key = `${process} ${message} ${handedTo}`
    if (handedTo === undefined || seen.has(key)) continue
    seen.add(key)
    found.push(handedTo)
  }
  return found
}

type Outcome = IteratorResult<CrankProgress> | { readonly error: unknown }

const firstOf = (
  sources: ReadonlyMap<Address, Source>,
): Promise<{ readonly address: Address; readonly source: Source; readonly outcome: Outcome }> =>
  Promise.race(
    [...sources].map(async ([address, source]) => ({
      address,
      source,
      outcome: await source.next.catch((error: unknown): Outcome => ({ error })),
    })),
  )

/** The first failure stays; one of our own, or the caller's going, ends it all. */
async function failureOf(error: unknown, { signal }: AbortOptions, first: unknown): Promise<unknown> {
  throwIfAborted(signal)
  if (hasCode(error, 'STOPPING', 'OVERLOADED')) throw error
  return first ?? error
}

const gone = (address: Address): AoError =>
  new AoError(
    'PEER_UNREACHABLE',
    'the MU that pushes a part of this is not reachable',
    { messenger: address },
    { hint: 'Have another MU that the target names finish it: `aonet crank`.' },
  )

import { AoError } from '../../lib/errors.ts'
import { failpoint } from '../../lib/failpoint.ts'
import type { AssignmentLog, LogEntry } from '../../ports/assignment-log.ts'
import type { SignPromise } from '../../ports/sign-guard.ts'
import type { Assignment } from '../../protocol/assignment.ts'
import type { Draft } from '../../protocol/data-item.ts'
import { nextNonce, type ProcessId } from '../../protocol/ids.ts'
import type { Signer } from '../../protocol/keys.ts'
import { type Run, signRun } from '../../protocol/signed-run.ts'
import { takenByAnother, writeFailed } from './refusals.ts'

export interface WriteHow {
  /** Whether a SignGuard has the promises on disk. If not, the signer must be one that signs within this program. */
  readonly guarded: boolean
  /** Whether the log was asked for these messages just now, and has none of them. */
  readonly lookedUp: boolean
}
export interface WriteDeps extends WriteHow {
  readonly log: AssignmentLog
  readonly signer: Signer
}
export interface WriteOutcome {
  /** What stands in the log now. */
  readonly written: ReadonlyMap<SignPromise, Assignment>
  /** Why the others do not. */
  readonly failure: unknown
}

/**
 * Signs what is promised and appends it. Doing it again, in the same program or the next, gives the same bytes, and
 * leaves alone what is in the log already.
 *
 * Without a guard the synced row is the promise. The signature exists in this program's memory alone until the row is
 * on disk (the log shows no row before), so whoever has ever seen it finds the row after any crash; a write that failed
 * is gone through again with the same places, then with the guard; and a signature that died with the program was
 * nobody's. src/README.md says more, and test/unit/units/sign-guard-model.test.ts tries every crash of small histories.
 */
export async function writePromised(promises: readonly SignPromise[], deps: WriteDeps): Promise<WriteOutcome> {
  const { signed, written, failure } = await signPromised(promises, deps)
  if (signed.size === 0) return { written, failure }
  failpoint('su-batch-signed')
  const { guarded, lookedUp } = deps
  try {
    await deps.log.append([...signed.values()], { guarded, lookedUp })
  } catch (cause) {
    return { written, failure: writeFailed(cause) }
  }
  failpoint('su-appended')
  for (const [promise, { assignment }] of signed) written.set(promise, assignment)
  return { written, failure }
}

export interface SignDeps extends Pick<WriteDeps, 'log' | 'signer'> {
  /** The newest Assignment of a Process, also if it is still on its way to the disk; without it, the log's. */
  readonly tailOf?: ((process: ProcessId) => Assignment | undefined) | undefined
}
export interface Signed {
  /** What stands in the log already. */
  readonly written: Map<SignPromise, Assignment>
  readonly signed: ReadonlyMap<SignPromise, LogEntry>
  readonly failure: unknown
}

/** The first half of `writePromised`: nothing is written yet. */
export async function signPromised(promises: readonly SignPromise[], deps: SignDeps): Promise<Signed> {
  const byProcess = new Map<ProcessId, SignPromise[]>()
  for (const promise of promises) {
    const own = byProcess.get(promise.plan.process)
    if (own === undefined) byProcess.set(promise.plan.process, [promise])
    else own.push(promise)
  }
  const written = new Map<SignPromise, Assignment>()
  const signed = new Map<SignPromise, LogEntry>()
  let failure: unknown
  const failed = (error: unknown): undefined => {
    failure ??= error // the others of the batch go on
  }
  const open: OpenRun[] = []
  await Promise.all(
    [...byProcess].map(([process, own]) =>
      openRun(process, own, { ...deps, written }).then(run => open.push(run), failed),
    ),
  )
  const { signer } = deps
  const keeper = ({ promises, plans }: OpenRun) => {
    const first = plans[0]?.nonce ?? 0
    return (assignment: Assignment): void => {
      const promise = promises[assignment.nonce - first] as SignPromise
      failpoint('su-signed')
      signed.set(promise, { assignment, message: promise.message, origin: promise.origin })
    }
  }
  if (signer.signRuns === undefined) {
    const sign = (draft: Draft) => signer.sign(draft)
    await Promise.all(open.map(run => signRun(run, sign, keeper(run)).catch(failed)))
  } else {
    const answers = await signer.signRuns(open).catch(failed)
    for (const [i, run] of open.entries()) answers?.[i]?.forEach(keeper(run))
  }
  return { written, signed, failure }
}

/** What is promised and not in the log yet. */
interface OpenRun extends Run {
  readonly promises: readonly SignPromise[]
}

async function openRun(
  process: ProcessId,
  promises: readonly SignPromise[],
  { log, tailOf, written }: SignDeps & { readonly written: Map<SignPromise, Assignment> },
): Promise<OpenRun> {
  const tail = tailOf?.(process) ?? (await log.tail(process))
  failpoint('su-tail-known')
  const open: SignPromise[] = []
  let expected = nextNonce(tail?.nonce)
  for (const promise of promises) {
    const { plan } = promise
    if (tail !== undefined && plan.nonce <= tail.nonce) {
      const present = await log.at(process, plan.nonce)
      if (present?.message !== plan.message) throw takenByAnother(plan)
      written.set(promise, present)
      continue
    }
    if (plan.nonce !== expected) {
      const facts = { process, expected, nonce: plan.nonce }
      throw new AoError('NONCE_GAP', 'the log ends before a place that is promised', facts)
    }
    open.push(promise)
    expected = nextNonce(plan.nonce)
  }
  return { previous: tail, plans: open.map(({ plan }) => plan), promises: open }
}

import { AoError, hasCode } from '../../lib/errors.ts'
import type { Checkpoint } from '../../ports/checkpoint-store.ts'
import type { LiveProcess, ProcessSetup, Step, VmPool } from '../../ports/vm.ts'
import type { Assignment } from '../../protocol/assignment.ts'
import { type CronPlace, type CronSpec, type Placed, parseCrons } from '../../protocol/cron.ts'
import { type Id, idFromBytes, type Nonce } from '../../protocol/ids.ts'
import { parseRootProgress } from '../../protocol/root-rule.ts'
import type { ProcessRoute, Routes } from '../routing/route.ts'
import type { Checkpoints } from './checkpoint.ts'
import { cronOf, notesOf } from './notes.ts'

/** A live instance and where it stands. */
export interface Live {
  readonly vm: LiveProcess
  readonly route: ProcessRoute
  readonly crons: readonly CronSpec[]
  /** The last Assignment applied. */
  at: Assignment | undefined
  /** The state root that was attested of it, and after which message the state had that. */
  root: Id
  stateNonce: Nonce
  /** The last cron message applied after it. */
  cron: CronPlace | undefined
  /** Of nonce 0. */
  origin: Assignment | undefined
  /** Messages that led there, cron messages counted. */
  applied: number
  /** Since the last checkpoint: messages, and what `vm.usage.handledMs` was then. */
  unsaved: { messages: number; fromMs: number }
  /** What the last message took, in milliseconds; infinite as long as that is not known. */
  messageMs: number
  /** Whether its worker is gone. */
  isLost: boolean
  /** Whether it is known where each message before stood (`learn-names.ts`). */
  knowsNames: boolean
}

/** Something to be asked of a live instance that changes nothing. */
export type Ask<T> = (live: Live, at: Assignment) => Promise<T>

/** The state root before the first message. */
export const noState: Id = idFromBytes(new Uint8Array(32))

export interface LiveDeps {
  readonly pool: VmPool
  readonly routes: Pick<Routes, 'process' | 'scheduler'>
  readonly checkpoints: Checkpoints
  /** Fires when the unit stops: no message is begun after it. */
  readonly stopped: AbortSignal
}

/** An instance at the newest checkpoint that is of use, not beyond `until`; else before nonce 0. */
export async function openLive(
  { pool, routes, checkpoints, stopped: signal }: LiveDeps,
  {
    route,
    setup,
    until,
  }: { readonly route: ProcessRoute; readonly setup: ProcessSetup; readonly until?: Placed | undefined },
): Promise<Live> {
  const fresh = (vm: LiveProcess): Live => ({
    vm,
    route,
    crons: parseCrons(route.item.tags),
    at: undefined,
    cron: undefined,
    origin: undefined,
    root: noState,
    stateNonce: 0 as Nonce,
    applied: 0,
    unsaved: { messages: 0, fromMs: vm.usage.handledMs },
    messageMs: Number.POSITIVE_INFINITY,
    isLost: false,
    knowsNames: false,
  })
  const scheduler = () => routes.scheduler(setup.process, { signal })
  for await (const found of checkpoints.usable(route, scheduler, { signal, until })) {
    const { assignment, attestedRoot, image, notes } = found
    const { applied, counters } = image // the bytes are the VM's from now on
    try {
      return {
        ...fresh(await pool.open({ ...setup, image }, { signal })),
        at: assignment,
        cron: cronOf(notes),
        root: attestedRoot,
        stateNonce: parseRootProgress(counters).nonce ?? (0 as Nonce),
        applied,
      }
    } catch (error) {
      if (!hasCode(error, 'STORE_CORRUPT')) throw error
      await checkpoints.refuse(assignment, 'image', error)
    }
  }
  return fresh(await pool.open(setup, { signal }))
}

/**
 * The checkpoint of now, whatever message comes next: calls to an instance are answered in order.
 *
 * @throws AoError `NOT_READY` if the instance went ahead of the record, or is gone.
 */
export async function checkpointOf(
  { vm, route, at, cron, root, applied }: Live,
  { meter, signal }: { readonly meter: string; readonly signal: AbortSignal },
): Promise<Checkpoint> {
  const image = await vm.snapshot({ signal })
  if (at === undefined || image.applied !== applied)
    throw new AoError('NOT_READY', 'the instance is ahead of the record')
  return { module: route.spec.module, meter, assignment: at, attestedRoot: root, image, notes: notesOf(cron) }
}

/** What reading and checking a message costs beside its evaluation, in milliseconds: measured on a replay of aos. */
const readMs = 1

/** How long it would take to get there from the last checkpoint, in milliseconds. */
export const replayMs = ({ vm, unsaved }: Live): number =>
  vm.usage.handledMs - unsaved.fromMs + unsaved.messages * readMs

/** What follows is counted from here. */
export function noteSaved(live: Live): void {
  live.unsaved = { messages: 0, fromMs: live.vm.usage.handledMs }
}

/** Once its Result is recorded. */
export function noteApplied(
  live: Live,
  { stateRoot, stateNonce, applied }: Pick<Step, 'stateRoot' | 'stateNonce' | 'applied'>,
): void {
  live.root = stateRoot
  live.stateNonce = stateNonce
  live.applied = applied
  live.unsaved.messages++
}

import { AoError, hasCode } from '../../lib/errors.ts'
import type { Checkpoint } from '../../ports/checkpoint-store.ts'
import type { LiveProcess, ProcessSetup, VmPool } from '../../ports/vm.ts'
import type { Assignment } from '../../protocol/assignment.ts'
import { type CronPlace, type CronSpec, parseCrons } from '../../protocol/cron.ts'
import { type Id, idFromBytes } from '../../protocol/ids.ts'
import type { ProcessRoute, Routes } from '../routing/route.ts'
import type { Checkpoints } from './checkpoint.ts'

/** A live instance and where it stands. */
export interface Live {
  readonly vm: LiveProcess
  readonly route: ProcessRoute
  readonly crons: readonly CronSpec[]
  /** The last Assignment applied. */
  at: Assignment | undefined
  /** The state root that was attested of it. */
  root: Id
  /** The last cron message applied after it. */
  cron: CronPlace | undefined
  /** Of nonce 0. */
  origin: Assignment | undefined
  /** Messages that led there, cron messages counted. */
  applied: number
  /** Since the last checkpoint, in messages and in milliseconds of evaluation. */
  unsaved: { messages: number; ms: number }
}

/** The state root before the first message. */
export const noState: Id = idFromBytes(new Uint8Array(32))

export interface LiveDeps {
  readonly pool: VmPool
  readonly routes: Pick<Routes, 'process' | 'scheduler'>
  readonly checkpoints: Checkpoints
  /** Fires when the unit stops: no message is begun after it. */
  readonly stopped: AbortSignal
}

/** An instance at the newest checkpoint that is of use, else before nonce 0. */
export async function openLive(
  { pool, routes, checkpoints, stopped: signal }: LiveDeps,
  { route, setup }: { readonly route: ProcessRoute; readonly setup: ProcessSetup },
): Promise<Live> {
  const fresh = {
    route,
    crons: parseCrons(route.item.tags),
    at: undefined,
    cron: undefined,
    origin: undefined,
    root: noState,
    applied: 0,
    unsaved: { messages: 0, ms: 0 },
  }
  const scheduler = () => routes.scheduler(setup.process, { signal })
  for await (const { assignment, attestedRoot, image } of checkpoints.usable(route, scheduler, { signal })) {
    const { applied } = image
    try {
      return {
        ...fresh,
        vm: await pool.open({ ...setup, image }, { signal }),
        at: assignment,
        root: attestedRoot,
        applied,
      }
    } catch (error) {
      if (!hasCode(error, 'STORE_CORRUPT')) throw error
      await checkpoints.refuse(assignment, 'image', error)
    }
  }
  return { ...fresh, vm: await pool.open(setup, { signal }) }
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
  // Between a cron message and the next message a state has no nonce of its own.
  if (at === undefined || cron !== undefined || image.applied !== applied)
    throw new AoError('NOT_READY', 'the instance is ahead of the record')
  return { module: route.spec.module, meter, assignment: at, attestedRoot: root, image, notes: null }
}

/** What reading and checking a message costs beside its evaluation, in milliseconds: measured on a replay of aos. */
const readMs = 1

/** How long it would take to get there from the last checkpoint, in milliseconds. */
export const replayMs = ({ unsaved }: Live): number => unsaved.ms + unsaved.messages * readMs

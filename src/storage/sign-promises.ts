import { AoError } from '../lib/errors.ts'
import type { SignFloor, SignPromise } from '../ports/sign-guard.ts'
import type { ProcessId } from '../protocol/ids.ts'

/** Open promises and floors, as every SignGuard keeps them in memory and checks them: so all refuse the same. */
export class SignPromises {
  readonly #open = new Map<string, SignPromise>()
  readonly #floors = new Map<ProcessId, SignFloor>()

  /** @throws AoError `EQUIVOCATION` if one of them is promised otherwise; then none is taken. */
  take(batch: readonly SignPromise[]): void {
    const taken = new Map<string, SignPromise>()
    for (const promise of batch) {
      const place = placeOf(promise)
      const first = taken.get(place) ?? this.#open.get(place)
      if (first !== undefined && textOf(first) !== textOf(promise)) throw promisedOtherwise(first, promise)
      taken.set(place, promise)
    }
    for (const [place, promise] of taken) this.#open.set(place, promise)
  }

  release(batch: readonly SignPromise[]): void {
    for (const promise of batch) this.#open.delete(placeOf(promise))
  }

  hasOpen(batch: readonly SignPromise[]): boolean {
    return batch.some(promise => this.#open.has(placeOf(promise)))
  }

  open(): readonly SignPromise[] {
    return [...this.#open.values()].sort(byPlace)
  }

  /** Those that are higher than what is known. */
  higher(floors: readonly SignFloor[]): readonly SignFloor[] {
    return floors.filter(floor => isHigher(floor, this.#floors.get(floor.process)))
  }

  raise(floors: readonly SignFloor[]): void {
    for (const floor of this.higher(floors)) this.#floors.set(floor.process, floor)
  }

  floor(process: ProcessId): SignFloor | undefined {
    return this.#floors.get(process)
  }

  floors(): readonly SignFloor[] {
    return [...this.#floors.values()]
  }
}

const placeOf = ({ plan: { process, epoch, nonce } }: SignPromise): string => `${process} ${epoch} ${nonce}`
/** The item counts by its id, which covers its bytes. */
const textOf = ({ plan }: SignPromise): string =>
  [...[plan.message, plan.timestamp, plan.blockHeight, plan.blockHash, plan.blockTimestamp], ...plan.exclude].join(' ')

const isHigher = (floor: SignFloor, known: SignFloor | undefined): boolean =>
  known === undefined || floor.epoch > known.epoch || (floor.epoch === known.epoch && floor.nonce > known.nonce)

function byPlace({ plan: a }: SignPromise, { plan: b }: SignPromise): number {
  if (a.process !== b.process) return a.process < b.process ? -1 : 1
  return a.epoch - b.epoch || a.nonce - b.nonce
}

const promisedOtherwise = ({ plan: first }: SignPromise, { plan }: SignPromise): AoError =>
  new AoError(
    'EQUIVOCATION',
    'this place in the schedule is promised already',
    { process: plan.process, nonce: plan.nonce, promised: first.message, message: plan.message },
    { hint: 'Two schedulers may be running with one key: stop one of them.' },
  )

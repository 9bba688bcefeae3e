import { failpoint } from '../../lib/failpoint.ts'
import type { Nonce, ProcessId } from '../../protocol/ids.ts'
import type { NetworkParams } from '../../protocol/params.ts'
import { setupOf } from './evaluate.ts'
import { type Live, type LiveDeps, openLive } from './live.ts'
import type { Modules } from './modules.ts'
import type { Room, Sleeper } from './room.ts'
import type { Saves } from './saves.ts'

export interface InstanceDeps extends LiveDeps {
  readonly modules: Modules
  readonly params: NetworkParams
  readonly room: Room
}

/** The live instance of one Process, if it has one, and its share of the memory. */
export class Instance {
  readonly #owner: Sleeper
  readonly #deps: InstanceDeps
  readonly #saves: Saves
  /** Told when it is gone with its worker. */
  readonly #lost: () => void
  #live: Live | undefined

  constructor(
    owner: Sleeper,
    deps: InstanceDeps,
    { saves, lost }: { readonly saves: Saves; readonly lost: () => void },
  ) {
    this.#owner = owner
    this.#deps = deps
    this.#saves = saves
    this.#lost = lost
  }

  get live(): Live | undefined {
    return this.#live
  }

  get at(): Nonce | undefined {
    return this.#live?.at?.nonce
  }

  /** The one there is, or one from the newest checkpoint, once there is room. */
  async open(): Promise<Live> {
    if (this.#live !== undefined) return this.#live
    const { routes, modules, pool, params, room, stopped } = this.#deps
    const process: ProcessId = this.#owner.process
    const route = await routes.process(process)
    const module = await modules.get(route.spec.module)
    const setup = { ...setupOf(process, route, module, { pool, params }), lost: () => this.#onLost() }
    await room.take(this.#owner, stopped)
    try {
      const live = await openLive(this.#deps, { route, setup })
      failpoint('cu-opened')
      room.resize(this.#owner, live.vm.usage.residentBytes)
      this.#live = live
      return live
    } catch (error) {
      room.give(this.#owner)
      throw error
    }
  }

  /** Saves the state, and closes it. */
  async putAway(): Promise<void> {
    const live = this.#take()
    if (live === undefined) return
    await this.#saves.last(live)
    await this.#release(live)
  }

  /** Closes it without saving. */
  async drop(): Promise<void> {
    const live = this.#take()
    if (live !== undefined) await this.#release(live)
  }

  /** Whoever comes now finds none. */
  #take(): Live | undefined {
    const live = this.#live
    this.#live = undefined
    return live
  }

  #onLost(): void {
    if (this.#live === undefined) return
    this.#live.isLost = true
    this.#lost()
  }

  async #release(live: Live): Promise<void> {
    await live.vm.close().catch(() => undefined) // it is gone or going: nothing of it is used again
    this.#deps.room.give(this.#owner)
  }
}

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { AbortOptions } from '../lib/abort.ts'
import { systemClock } from '../lib/clock.ts'
import type { Component } from '../lib/component.ts'
import { loadOrCreateCertificate } from '../network/grpc/certificate.ts'
import type { UnitRecord } from '../protocol/unit-record.ts'
import { checkMark, markOf } from '../storage/directory-mark.ts'
import { DiskRoom } from '../storage/disk-room.ts'
import { openStore } from '../storage/level.ts'
import type { Store } from '../storage/store.ts'
import { beginSession } from '../storage/stored-session.ts'
import { mostThreads } from '../vm/pool.ts'
import { openCheckpointDir } from './checkpoint-dir.ts'
import { loadNodeKeys } from './identity.ts'
import { availableMemory, memoryBudget, memoryWarning } from './memory-budget.ts'
import type { NodeOptions } from './settings.ts'
import type { NodeStatus } from './status.ts'
import { createTelemetry } from './telemetry.ts'
import { type WiredNode, wireNode } from './wire.ts'
import { workersOf } from './wire-units.ts'

export interface NodeIdentity {
  readonly version: string
  /** JWK file of the unit key. */
  readonly keyFile: string
}

/** A running node: start it, ask it, stop it. */
export interface AoNode extends Component {
  /** The node's own signed record. @throws AoError `NOT_READY` before the start. */
  record(): UnitRecord
  /** What `/status` answers. */
  status(): Promise<NodeStatus>
  /** `http://host:port`. */
  readonly httpUrl: string
}

/** A node with these options; nothing is opened before `start`. */
export function createNode(options: NodeOptions, identity: NodeIdentity): AoNode {
  return new NodeProcess(options, identity)
}

class NodeProcess implements AoNode {
  readonly name = 'node'
  readonly #options: NodeOptions
  readonly #identity: NodeIdentity
  #wired: WiredNode | undefined
  #stores: Store[] = []

  constructor(options: NodeOptions, identity: NodeIdentity) {
    this.#options = options
    this.#identity = identity
  }

  /** @throws AoError `INVALID_CONFIG` | `STORE_LOCKED` | `STORE_CORRUPT` | `PORT_IN_USE`; then nothing is left running. */
  async start(signal: AbortOptions = {}): Promise<void> {
    if (this.#wired !== undefined) return
    const { dataDir, logLevel } = this.#options
    const keys = await loadNodeKeys(this.#options, this.#identity.keyFile)
    const { address } = keys.signer
    const telemetry = createTelemetry({ level: logLevel, node: address })
    const tooLarge = memoryWarning(
      memoryBudget(this.#options, mostThreads(workersOf(this.#options))),
      availableMemory(),
    )
    if (tooLarge !== undefined) telemetry.log.warn('memory-may-not-suffice', { reason: tooLarge })
    if (keys.plain) telemetry.log.warn('key-not-encrypted', { next: 'aonet keys passphrase' })
    mkdirSync(dataDir, { recursive: true })
    const room = new DiskRoom(
      { ...telemetry, clock: systemClock },
      { dir: dataDir, minFreeBytes: this.#options.minFreeDiskMb * 2 ** 20 },
    )
    const store = await openStore(join(dataDir, 'store'), { log: telemetry.log, room })
    this.#stores = [store]
    try {
      const checkpoints = await openCheckpointDir(join(dataDir, 'checkpoints'), { log: telemetry.log, room })
      this.#stores.push(checkpoints)
      await checkMark(store, markOf(dataDir), { confirmed: this.#options.confirmMoved })
      const confirmed = this.#options.confirmMoved
      const session = await beginSession(store, { clock: systemClock, confirmed })
      const certificate = await loadOrCreateCertificate(dataDir, { commonName: address })
      const wired = wireNode({
        options: this.#options,
        keys,
        telemetry,
        store,
        checkpoints,
        room,
        certificate,
        version: this.#identity.version,
        session,
      })
      await wired.components.start(signal)
      this.#wired = wired
      wired.ready()
      const { roles, network } = this.#options
      telemetry.log.info('node-started', { roles, network, version: this.#identity.version, http: wired.http.url })
    } catch (error) {
      await this.stop()
      throw error
    }
  }

  async stop(): Promise<void> {
    const wired = this.#wired
    this.#wired = undefined
    await wired?.components.stop()
    for (const store of this.#stores.splice(0)) await store.close()
    wired?.telemetry.log.info('node-stopped')
  }

  record(): UnitRecord {
    return this.#started().record()
  }

  status(): Promise<NodeStatus> {
    return this.#started().status()
  }

  get httpUrl(): string {
    return this.#started().http.url
  }

  #started(): WiredNode {
    if (this.#wired === undefined) throw new TypeError('the node is not started')
    return this.#wired
  }
}

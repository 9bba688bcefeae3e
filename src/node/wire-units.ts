import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { AoError } from '../lib/errors.ts'
import type { Gossip } from '../ports/peers.ts'
import type { ArweaveClient } from '../ports/settlement.ts'
import { type Id, type ProcessId, parseAddress, parseId } from '../protocol/ids.ts'
import type { Signer } from '../protocol/keys.ts'
import { type NetworkParams, testnetParams } from '../protocol/params.ts'
import { DiskEvidenceFiles } from '../storage/disk-evidence-files.ts'
import { ComputeUnit, type ComputeUnitDeps } from '../units/compute/compute.ts'
import { defaultComputeUnitOptions } from '../units/compute/options.ts'
import { EvidenceDesk, type EvidenceDeskDeps } from '../units/economy/evidence-desk.ts'
import { EconomyFollower, type EconomyFollowerDeps } from '../units/economy/follower.ts'
import { MessengerUnit } from '../units/messenger/messenger.ts'
import { defaultMessengerUnitOptions, type MessengerUnitDeps } from '../units/messenger/messenger-options.ts'
import { SchedulerUnit } from '../units/scheduler/scheduler.ts'
import { defaultSchedulerUnitOptions, type SchedulerUnitDeps } from '../units/scheduler/scheduler-options.ts'
import { defaultSettlerOptions, Settler, type SettlerDeps } from '../units/settler/settler.ts'
import { WorkerVmPool } from '../vm/pool.ts'
import { DoubleSigningGossip } from './double-signing-gossip.ts'
import { type NodeKeys, passphraseOf } from './identity.ts'
import { type LoadedKey, loadKey } from './keys.ts'
import { forkMemory, liveMemory } from './memory-budget.ts'
import type { NodeOptions } from './settings.ts'
import type { NodeTelemetry } from './telemetry.ts'
import { censoring, showsFault, withFalseHead } from './wire-economy.ts'

/** Blocks below the newest one that an SU names: a fork of Arweave must not make an honest anchor a false one (F9). */
const anchorDepth = 3

// What each unit gets of the node's options. A unit of a role that the node has not is undefined.

export const schedulerUnit = (deps: SchedulerUnitDeps, options: NodeOptions): SchedulerUnit | undefined =>
  options.roles.includes('SU')
    ? new SchedulerUnit(
        {
          ...deps,
          policy: showsFault(options, 'censor') ? censoring(options) : undefined,
          arweave: showsFault(options, 'false-anchor') ? withFalseHead(deps.arweave) : deps.arweave,
        },
        {
          ...defaultSchedulerUnitOptions,
          maxItemBytes: options.maxItemBytes,
          maxPending: options.maxPending,
          headPollMs: 1000,
          anchorDepth: options.network === testnetParams.network ? 0 : anchorDepth,
        },
      )
    : undefined

export const settlerUnit = (deps: SettlerDeps, options: NodeOptions): Settler | undefined => {
  if (showsFault(options, 'no-publish')) return undefined
  return new Settler(deps, {
    ...defaultSettlerOptions,
    maxAgeMs: options.settleEveryMs,
    confirmations: options.settleConfirmations,
    pollMs: Math.min(defaultSettlerOptions.pollMs, options.settleEveryMs),
  })
}

export const messengerUnit = (deps: MessengerUnitDeps, options: NodeOptions): MessengerUnit | undefined =>
  options.roles.includes('MU')
    ? new MessengerUnit(deps, {
        ...defaultMessengerUnitOptions,
        maxItemBytes: options.maxItemBytes,
        maxRetryAgeMs: options.crankAgeMs,
        perWallet: { perSecond: options.walletMessagesPerSecond, burst: 10 * options.walletMessagesPerSecond },
      })
    : undefined

export const computeUnit = (deps: ComputeUnitDeps, options: NodeOptions): ComputeUnit =>
  new ComputeUnit(deps, {
    ...defaultComputeUnitOptions,
    maxLive: options.computeLive * workersOf(options),
    maxLiveBytes: liveMemory(options) - forkMemory(options),
    publishEveryMs: options.checkpointPublishMinutes * 60_000,
    trustedOwners: options.checkpointOwners.map(owner => parseAddress(owner, 'checkpointOwners')),
    maxCheckpointBytes: options.checkpointDiskMb * 2 ** 20,
  })

/** Only in a network that has an AO-Sec Origin. @throws AoError `INVALID_ARGUMENT` if its id is none. */
export const economyFollower = (
  deps: Omit<EconomyFollowerDeps, 'origin'>,
  { origin }: NodeOptions,
): EconomyFollower | undefined =>
  origin === '' ? undefined : new EconomyFollower({ ...deps, origin: parseId<ProcessId>(origin, 'origin') })

/** Files what is found in `evidence` of the data directory; takes it to court where there is one and the node is to. */
export const evidenceDesk = (
  deps: Omit<EvidenceDeskDeps, 'files' | 'court'> & { readonly arweave: ArweaveClient },
  { economy, options }: { economy: EconomyFollower | undefined; options: NodeOptions },
): EvidenceDesk =>
  new EvidenceDesk({
    ...deps,
    files: new DiskEvidenceFiles(join(options.dataDir, 'evidence')),
    court:
      economy === undefined || !options.reportFaults
        ? undefined
        : {
            origin: parseId<ProcessId>(options.origin, 'origin'),
            state: () => economy.state,
            isPublished: async (id, abort) => (await deps.arweave.item(id, abort)) !== undefined,
            height: async abort => (await deps.arweave.head(abort)).height,
          },
  })

/** What an SU tells the network: the truth, unless a testnet wants to see what happens otherwise. */
export const schedulerGossip = (gossip: Gossip, signer: Signer, options: NodeOptions): Gossip =>
  showsFault(options, 'double-sign') ? new DoubleSigningGossip(gossip, signer, options.origin as Id) : gossip

export const workersOf = ({ computeWorkers }: NodeOptions): number =>
  computeWorkers || Math.max(1, availableParallelism() - 1)

/** A worker drops an instance only as a last resort: which one sleeps is the unit's choice, with a checkpoint first. */
const spareInstances = 16

/** The evaluation threads of a CU. */
export const vmPool = (options: NodeOptions, telemetry: NodeTelemetry): WorkerVmPool | undefined =>
  options.roles.includes('CU')
    ? new WorkerVmPool(telemetry, {
        workers: workersOf(options),
        maxLive: options.computeLive * workersOf(options) + spareInstances,
        maxQueued: 10_000,
        wallClockMs: options.evaluationMs,
        sliceMs: options.sliceMs,
        moduleDirectory: join(options.dataDir, 'modules'),
        forks: { maxForkBytes: forkMemory(options) },
      })
    : undefined

export const networkParams = ({ network, origin }: NodeOptions): NetworkParams => ({
  ...testnetParams,
  network,
  ...(origin === '' ? {} : { origin }),
})

/**
 * The RSA key that an MU signs with what goes to other networks: the unit key if it is one, else the Arweave wallet.
 *
 * @throws AoError `INVALID_CONFIG` if the wallet is none.
 */
export function foreignSigner(options: NodeOptions, { signer, isRsa }: NodeKeys): Signer | undefined {
  const { roles, arweaveWallet, foreignSchedulers } = options
  if (!roles.includes('MU') || !foreignSchedulers) return undefined
  if (isRsa) return signer
  if (arweaveWallet === '') return undefined
  const wallet = arweaveKey(options)
  if (wallet.jwk['kty'] === 'RSA') return wallet.signer
  const hint = 'Name an RSA wallet file with arweaveWallet.'
  throw new AoError('INVALID_CONFIG', 'the Arweave wallet is no RSA key', { setting: 'arweaveWallet' }, { hint })
}

/** Under the passphrase of the node's own key, if it is under one. */
const arweaveKey = (options: NodeOptions): LoadedKey =>
  loadKey(options.arweaveWallet, 'Name an RSA wallet with --arweave-wallet.', passphraseOf(options))

/** The wallet that pays for settlement. @throws AoError `INVALID_CONFIG` if an SU has none. */
export function payerWallet(options: NodeOptions) {
  const { roles, arweaveWallet } = options
  if (!roles.includes('SU')) return undefined
  if (arweaveWallet !== '') return arweaveKey(options).jwk
  throw new AoError(
    'INVALID_CONFIG',
    'an SU settles to Arweave and needs a wallet that pays for it',
    { setting: 'arweaveWallet' },
    { hint: 'Name an RSA wallet file with arweaveWallet, have `aonet init` make one, or leave SU out of roles.' },
  )
}

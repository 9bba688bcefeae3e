import { z } from 'zod'
import type { UnitRole } from '../protocol/unit-record.ts'

/** How one setting looks in a file, in the environment and on the command line. */
export interface Setting<T> {
  readonly schema: z.ZodType<T>
  readonly initial: T
  readonly help: string
  /** Shown as `•••` wherever the configuration is printed. */
  readonly secret?: boolean
}

const setting = <T>(schema: z.ZodType<T>, initial: T, help: string): Setting<T> => ({ schema, initial, help })

const listOf = (text: string): readonly string[] =>
  text
    .split(',')
    .map(part => part.trim())
    .filter(part => part !== '')

const text = z.string().min(1)
const texts = z.preprocess(value => (typeof value === 'string' ? listOf(value) : value), z.array(text)) as z.ZodType<
  string[]
>
const flag = z.preprocess(
  value => (value === 'true' || value === '1' ? true : value === 'false' || value === '0' ? false : value),
  z.boolean(),
) as z.ZodType<boolean>
const whole = (min: number, max: number): z.ZodType<number> =>
  z.preprocess(
    value => (typeof value === 'string' && /^[0-9]+$/.test(value) ? Number(value) : value),
    z.int().min(min).max(max),
  ) as z.ZodType<number>
const port = whole(0, 65_535)
const role = z.enum(['MU', 'SU', 'CU'])
const roles = z.preprocess(
  value => (typeof value === 'string' ? listOf(value.toUpperCase()) : value),
  z.array(role),
) as z.ZodType<('MU' | 'SU' | 'CU')[]>
const url = z.url({ protocol: /^https?$/ })

/** How a node of a testnet may misbehave. */
export const faults = ['double-sign', 'censor', 'no-publish', 'false-anchor', 'no-deliver'] as const

/**
 * Every option of a node, once: type, default and help. The configuration file has these names, the environment has
 * `AONET_` and the name in upper snake case, the command line has it in kebab case.
 */
export const settings = {
  dataDir: setting(text, '.aonet/node', 'directory of the key, the certificate and the database'),
  confirmMoved: setting(
    flag,
    false,
    'true once: this data directory was copied or moved, and no node runs on the other copy any more',
  ),
  roles: setting<UnitRole[]>(
    roles,
    ['MU', 'SU', 'CU'],
    'what this node does: MU, SU, CU; an empty list makes a node that only forwards',
  ),
  network: setting(text, 'testnet', 'name of the network; peers of another network are refused'),
  origin: setting(
    z.string(),
    '',
    'id of AO-Sec Origin, the Process of the token and the stakes; empty: a network without',
  ),
  reportFaults: setting(
    flag,
    true,
    'bring what this node can prove against a unit before AO-Sec Origin; the bond is paid by the node’s own key',
  ),
  takeOver: setting(
    flag,
    true,
    'as a staked SU, bid for Processes whose SU was found guilty, and carry them on; the bond is paid by the stake’s owner',
  ),
  fault: setting(
    z.enum(['', ...faults]),
    '',
    'for testnets: misbehave so that the others can be seen to notice; an SU that tells two orders (double-sign), orders nothing for others (censor), settles nothing (no-publish) or names blocks that are not there (false-anchor); an MU that promises and passes nothing on (no-deliver)',
  ),
  arweaveUrl: setting(url, 'http://127.0.0.1:1984', 'Arweave gateway to read from and settle to'),
  arweaveWallet: setting(
    z.string(),
    '',
    'JWK file (RSA) of the wallet that pays for settlement, needed by an SU; an MU signs with it what goes to other networks',
  ),
  foreignSchedulers: setting(
    flag,
    true,
    'go to SUs of other networks by the Url that they publish on Arweave (Scheduler-Location); to private addresses only on a testnet',
  ),
  keyPassphraseFile: setting(z.string(), '', 'file whose first line is the passphrase of the key'),
  keyPassphrase: {
    ...setting(z.string(), '', 'passphrase of the key; better in a file, or typed at the start'),
    secret: true,
  },
  insecurePlaintextKey: setting(flag, false, 'run with a key that is not encrypted, on a network that is no testnet'),
  remoteSigner: setting(z.string(), '', 'signer that holds the unit key: http://127.0.0.1:port or unix:/path'),
  p2pListen: setting(texts, ['/ip4/127.0.0.1/tcp/0'], 'libp2p addresses to listen on'),
  p2pAnnounce: setting(texts, [], 'libp2p addresses to tell others instead of those listened on'),
  bootstrap: setting(texts, [], 'libp2p addresses of nodes to join through'),
  mdns: setting(flag, false, 'find nodes on the local network by multicast DNS'),
  denyPeers: setting(texts, [], 'PeerIds never talked to'),
  allowPeers: setting(texts, [], 'PeerIds talked to, and no others; empty for all'),
  privateNetworkKeyFile: setting(
    z.string(),
    '',
    'pre-shared key (swarm.key) of a private network: without it no peer gets past the first byte, and gRPC and HTTP answer known units and who shows the member token only',
  ),
  relay: setting(
    flag,
    false,
    'this node cannot be dialled (behind NAT or a firewall): hold a place at relays, serve gRPC over peer-to-peer streams, and try for direct connections (DCUtR)',
  ),
  relayServer: setting(
    flag,
    false,
    'be a relay for nodes that cannot be dialled; their traffic goes through this machine',
  ),
  upnp: setting(flag, false, 'ask the router of the local network to forward the peer-to-peer port (UPnP)'),
  autonat: setting(
    flag,
    false,
    'ask other nodes whether they can dial this one, and answer the same question (AutoNAT)',
  ),
  dht: setting(flag, true, 'take part in the DHT: find units by their address, and keep a share of their records'),
  grpcHost: setting(text, '127.0.0.1', 'address the gRPC services listen on'),
  grpcPort: setting(port, 0, 'port of the gRPC services; 0 takes any free one'),
  grpcAdvertise: setting(
    z.string(),
    '',
    'host:port told to others for gRPC; by default what is listened on, or the first outside address where that is all',
  ),
  grpcCallsPerSecond: setting(
    whole(1, 1_000_000),
    1_000,
    'gRPC calls and stream messages a second of one IP address, where the caller is no known unit',
  ),
  grpcUnitCallsPerSecond: setting(
    whole(1, 1_000_000),
    20_000,
    'gRPC stream messages a second of one unit of the network; a call of its own counts as ten',
  ),
  httpHost: setting(text, '127.0.0.1', 'address of the HTTP server'),
  httpPort: setting(
    port,
    0,
    'port of the HTTP server (/mu /su /cu /health /ready /metrics /status); 0 takes any free one',
  ),
  httpAdvertise: setting(
    z.string(),
    '',
    'URL of the HTTP server told to others; by default what is listened on, or the first outside address where that is all',
  ),
  logLevel: setting(z.enum(['error', 'warn', 'info', 'debug']), 'info', 'least severe log line to write'),
  computeWorkers: setting(whole(0, 256), 0, 'evaluation threads of a CU; 0 takes one less than there are cores'),
  computeLive: setting(
    whole(1, 100_000),
    256,
    'Processes kept live for each evaluation thread; beyond it the one used longest ago is put to sleep',
  ),
  computeMemoryMb: setting(
    whole(0, 10_000_000),
    0,
    'memory for live Processes in MiB, beyond which they are put to sleep, an eighth of it for the copies that dry-runs are evaluated on; 0 takes a quarter of what the machine has',
  ),
  checkpointPublishMinutes: setting(
    whole(0, 525_600),
    0,
    'least time between two checkpoints of one Process that a CU puts on Arweave, in minutes; 0 publishes none',
  ),
  checkpointOwners: setting(texts, [], 'addresses of CUs whose checkpoints on Arweave this CU takes for true'),
  checkpointDiskMb: setting(whole(16, 100_000_000), 20_480, 'disk for checkpoints of a CU, in MiB'),
  minFreeDiskMb: setting(
    whole(0, 100_000_000),
    256,
    'free space of the disk, in MiB, below which the node writes nothing more and is not ready, until there is room again; 0 for none',
  ),
  sliceMs: setting(
    whole(1, 60_000),
    250,
    'an evaluation that takes longer, in milliseconds, moves its Process to the thread for slow ones',
  ),
  evaluationMs: setting(whole(100, 3_600_000), 60_000, 'wall-clock guard of one evaluation, in milliseconds'),
  maxPending: setting(whole(1, 1_000_000), 10_000, 'messages waiting to be ordered before the SU answers OVERLOADED'),
  maxItemBytes: setting(whole(1024, 64 * 1024 * 1024), 10 * 1024 * 1024, 'largest data item taken, in bytes'),
  settleEveryMs: setting(
    whole(100, 86_400_000),
    10_000,
    'oldest unsettled message before a bundle is made, in milliseconds',
  ),
  settleConfirmations: setting(whole(1, 1000), 10, 'blocks on top of a bundle before it counts as settled'),
  walletMessagesPerSecond: setting(
    whole(1, 1_000_000),
    500,
    'messages a second the MU takes of one wallet; ten times as many in a burst',
  ),
  crankAgeMs: setting(whole(1000, 604_800_000), 600_000, 'how long the MU goes on trying to deliver, in milliseconds'),
} as const

export type SettingName = keyof typeof settings
export type NodeOptions = { readonly [K in SettingName]: (typeof settings)[K] extends Setting<infer T> ? T : never }

export const settingNames = Object.keys(settings) as readonly SettingName[]
/** `dataDir` → `AONET_DATA_DIR`. */
export const environmentName = (name: SettingName): string => `AONET_${name.replace(/[A-Z]/g, '_$&').toUpperCase()}`
/** `dataDir` → `data-dir`. */
export const flagName = (name: SettingName): string => name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)

import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { AoError } from '../../lib/errors.ts'

/** @throws AoError `INVALID_CONFIG` */
export function parseMultiaddr(text: string): Multiaddr {
  try {
    return multiaddr(text)
  } catch (cause) {
    const hint = 'Write it like /ip4/127.0.0.1/tcp/4001, for another node with /p2p/ and its PeerId at the end.'
    throw new AoError('INVALID_CONFIG', 'not a multiaddr', { address: text.slice(0, 200) }, { cause, hint })
  }
}

/** Why listening failed, in our terms: `PORT_IN_USE` or `INVALID_CONFIG`. */
export function listenError(cause: unknown, listen: readonly string[]): AoError {
  const facts = { listen: listen.join(' ') }
  // libp2p keeps only the text of the operating system's error.
  if (String(cause).includes('EADDRINUSE')) {
    const hint = 'Stop the other program or node on that port, or choose another (port 0 takes any free one).'
    return new AoError('PORT_IN_USE', 'the peer-to-peer port is in use', facts, { cause, hint })
  }
  const hint = 'Check that each listen address belongs to this machine and that the port may be opened.'
  return new AoError('INVALID_CONFIG', 'cannot listen for peers', facts, { cause, hint })
}

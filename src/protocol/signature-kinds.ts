/** ANS-104 signature types, as arbundles numbers them. */
export type SignatureType = 1 | 2 | 3 | 4 | 5 | 6 | 7

export interface SignatureKind {
  readonly name: string
  readonly signatureBytes: number
  readonly ownerBytes: number
}

/** Lengths in bytes. Source: arbundles `src/constants.ts` SIG_CONFIG. */
export const signatureKinds: Readonly<Record<number, SignatureKind>> = {
  1: { name: 'arweave', signatureBytes: 512, ownerBytes: 512 },
  2: { name: 'ed25519', signatureBytes: 64, ownerBytes: 32 },
  3: { name: 'ethereum', signatureBytes: 65, ownerBytes: 65 },
  4: { name: 'solana', signatureBytes: 64, ownerBytes: 32 },
  5: { name: 'injectedAptos', signatureBytes: 64, ownerBytes: 32 },
  6: { name: 'multiAptos', signatureBytes: 64 * 32 + 4, ownerBytes: 32 * 32 + 1 },
  7: { name: 'typedEthereum', signatureBytes: 65, ownerBytes: 42 },
}

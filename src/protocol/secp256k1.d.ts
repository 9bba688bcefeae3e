// What we use of the package secp256k1 (libsecp256k1), which comes without types.
declare module 'secp256k1' {
  const secp256k1: {
    /** @throws Error if no key gives this signature. */
    ecdsaRecover(signature: Uint8Array, recoveryId: number, digest: Uint8Array, compressed: boolean): Uint8Array
  }
  export default secp256k1
}

import { AoError } from '../lib/errors.ts'

/**
 * Reads a row that this program wrote, so whatever is wrong with it is the store's fault and not the caller's.
 *
 * @throws AoError `STORE_CORRUPT`
 */
export function decoding<T>(table: string, decode: () => T): T {
  try {
    return decode()
  } catch (cause) {
    throw new AoError(
      'STORE_CORRUPT',
      'a stored row cannot be read',
      { table },
      {
        cause,
        hint: 'Restore the data directory from a copy, or move it away and let the node fetch its history again.',
      },
    )
  }
}

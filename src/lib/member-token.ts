import { createHmac, timingSafeEqual } from 'node:crypto'
import { utf8 } from './bytes.ts'

/**
 * What callers of a private network show who are no peers: 43 characters that only holders of its pre-shared key can make,
 * and that do not give the key away.
 *
 * @param preSharedKey The content of `swarm.key`.
 */
export const memberToken = (preSharedKey: Uint8Array): string =>
  createHmac('sha256', Buffer.from(preSharedKey).toString('utf8').trim()).update('aonet member 1').digest('base64url')

/** Whether an `Authorization` header carries the token. */
export function bearsToken(header: string | undefined, token: string): boolean {
  const [shown, wanted] = [utf8(header ?? ''), utf8(bearer(token))]
  return shown.length === wanted.length && timingSafeEqual(shown, wanted)
}

export const bearer = (token: string): string => `Bearer ${token}`

export const memberHint =
  'Show the member token of the network: AONET_MEMBER_TOKEN, or the header Authorization: Bearer <token>; `aonet keys member-token` prints it.'

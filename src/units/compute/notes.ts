import { AoError } from '../../lib/errors.ts'
import type { Json } from '../../lib/json.ts'
import { type CronPlace, cronText, parseCronText } from '../../protocol/cron.ts'

/** What a checkpoint notes beside the state: the cron message it was taken after, if it was after one. */
export const notesOf = (cron: CronPlace | undefined): Json => (cron === undefined ? null : { cron: cronText(cron) })

/** @throws AoError `STORE_CORRUPT` for what `notesOf` did not write. */
export function cronOf(notes: Json): CronPlace | undefined {
  if (notes === null) return undefined
  try {
    return parseCronText((notes as { readonly cron: string }).cron)
  } catch (cause) {
    throw new AoError('STORE_CORRUPT', 'a checkpoint does not tell where it was taken', {}, { cause })
  }
}

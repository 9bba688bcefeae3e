import { toUtf8, utf8 } from '../lib/bytes.ts'
import type { CrankJob } from '../ports/crank-queue.ts'
import type { CrankPart } from '../ports/units.ts'
import { decoding } from './decoding.ts'

/** Still to be pushed. */
export const isOpenJob = (job: CrankJob): boolean => job.state !== 'done' && job.state !== 'failed'

/** Without the message's bytes, which have a row of their own. */
export const encodeJob = ({ item: _, ...job }: CrankJob): Uint8Array => utf8(JSON.stringify(job))

/** Reads what `encodeJob` wrote; what JSON leaves out comes back as undefined. Jobs of earlier versions lack `at`. */
export const decodeJob = (bytes: Uint8Array): CrankJob =>
  decoding('crank', () => {
    const job = JSON.parse(toUtf8(bytes)) as CrankJob
    return {
      ...job,
      reason: job.reason,
      at: job.at ?? job.dueAt,
      result: job.result && { ...job.result, error: job.result.error },
      parts: job.parts.map(
        (part): CrankPart => ({
          ...part,
          message: part.message,
          nonce: part.nonce,
          handedTo: part.handedTo,
          reason: part.reason,
        }),
      ),
    }
  })

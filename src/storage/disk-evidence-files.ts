import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { EvidenceFiles } from '../ports/evidence-files.ts'
import { type DataItem, verifyDataItem } from '../protocol/data-item.ts'
import { type Evidence, parseEvidence } from '../protocol/evidence.ts'
import type { Id } from '../protocol/ids.ts'

const ending = '.evidence'
/** Files read at a start. A node that finds more has other worries. */
const maxFiles = 1000

/** Evidence as files of one directory, which is made with the first of them. */
export class DiskEvidenceFiles implements EvidenceFiles {
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = directory
  }

  async put(digest: Id, item: DataItem): Promise<void> {
    await mkdir(this.#directory, { recursive: true })
    const file = join(this.#directory, `${digest}${ending}`)
    await writeFile(`${file}.new`, item.raw, { flush: true } as object)
    await rename(`${file}.new`, file) // readers never see half a file
  }

  /** What cannot be read is passed over: it is somebody's file, but no evidence. */
  async all(): Promise<readonly Evidence[]> {
    const names = await readdir(this.#directory).catch((): string[] => [])
    const found: Evidence[] = []
    for (const name of names.filter(one => one.endsWith(ending)).slice(0, maxFiles)) {
      try {
        found.push(parseEvidence(await verifyDataItem(await readFile(join(this.#directory, name)))))
      } catch {}
    }
    return found
  }
}

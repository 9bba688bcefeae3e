import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { packageRoot } from '../../../src/testnet/aos-module.ts'
import type { Digest } from './digest.ts'

export type Digests = Readonly<Record<string, Digest>>

/** As recorded by `node dist/test/support/determinism/main.js > test/vectors/determinism.json`. */
export const goldenDigests = (): Digests =>
  JSON.parse(readFileSync(join(root, 'test/vectors/determinism.json'), 'utf8')) as Digests

/** The digests of all scenarios as another Node, or this one with other flags, computes them. */
export async function digestsOf(node: string, flags: readonly string[]): Promise<Digests> {
  const main = fileURLToPath(new URL('./main.js', import.meta.url))
  const { stdout } = await promisify(execFile)(node, [...flags, main], { timeout: 180_000 })
  return JSON.parse(stdout) as Digests
}

const root = packageRoot(dirname(fileURLToPath(import.meta.url)))

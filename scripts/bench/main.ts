// npm run bench [name ...]: runs scripts/bench/<name>.ts, or all of them, and prints one JSON line for each case.
import { readdir } from 'node:fs/promises'

/** One measured case. Figures of time are milliseconds unless their name says otherwise. */
export type BenchLine = { readonly case: string } & Readonly<Record<string, string | number>>
/** What a bench file exports as default. */
export type Bench = () => AsyncIterable<BenchLine>

async function benchNames(): Promise<readonly string[]> {
  const files = await readdir(new URL('.', import.meta.url))
  const names = files.flatMap(file => /^(.+)(?<!\.d)\.[jt]s$/.exec(file)?.[1] ?? [])
  return names.filter(name => name !== 'main').sort()
}

const known = await benchNames()
const wanted = process.argv.slice(2)
const unknown = wanted.filter(name => !known.includes(name))
if (unknown.length > 0) {
  process.stderr.write(`No such bench: ${unknown.join(', ')}. There are: ${known.join(', ')}.\n`)
  process.exit(2)
}
const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
for (const bench of wanted.length > 0 ? wanted : known) {
  const { default: run } = (await import(new URL(`./${bench}.${ending}`, import.meta.url).href)) as { default: Bench }
  for await (const line of run()) process.stdout.write(`${JSON.stringify({ bench, ...line })}\n`)
}

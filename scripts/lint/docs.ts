// Holds the documentation to the code: the README's table of settings, its links, and the commands it names.
// `--write` brings the table and the page of the wire's calls up to date.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { environmentName, settingNames, settings } from '../../src/node/settings.ts'
import { protoDocs } from './proto-docs.ts'

const pages = ['README.md', 'src/README.md', 'proto/README.md', 'test/README.md']
const mark = '<!-- settings -->'
const mistakes: string[] = []

const readme = readFileSync('README.md', 'utf8')
const updated = withSettings(readme)
if (process.argv.includes('--write')) writeFileSync('README.md', updated)
else if (updated !== readme) mistakes.push('README.md: the table of settings is stale; run: npm run docs')

const api = 'proto/API.md'
const calls = protoDocs('proto/ao/v1')
if (process.argv.includes('--write')) writeFileSync(api, calls)
else if (!existsSync(api) || readFileSync(api, 'utf8') !== calls) mistakes.push(`${api} is stale; run: npm run docs`)

for (const page of pages) {
  const text = readFileSync(page, 'utf8')
  for (const [, link = ''] of text.matchAll(/\]\((?!https?:)([^)#\s]+)/g)) {
    if (!existsSync(join(dirname(page), link))) mistakes.push(`${page}: the link ${link} leads nowhere`)
  }
  for (const [, file = ''] of text.matchAll(
    /`((?:units|network|protocol|vm|storage|node|arweave|devnet|client|testnet|cli)\/[\w/.-]+\.ts)`/g,
  )) {
    if (!existsSync(join('src', file))) mistakes.push(`${page}: there is no src/${file}`)
  }
  for (const [, script = ''] of text.matchAll(/npm run ([\w:-]+)/g)) {
    if (!(script in packageScripts())) mistakes.push(`${page}: there is no npm script ${script}`)
  }
}

for (const mistake of mistakes) console.error(mistake)
process.exitCode = mistakes.length > 0 ? 1 : 0

function withSettings(text: string): string {
  const rows = settingNames.map(name => {
    const { help, initial } = settings[name]
    const shown = Array.isArray(initial) ? initial.join(',') : String(initial)
    return `| \`${name}\` (\`${environmentName(name)}\`) | ${help} | ${shown === '' ? '–' : `\`${shown}\``} |`
  })
  const at = text.indexOf(mark)
  const end = text.indexOf('\n\n', at)
  if (at < 0) {
    mistakes.push(`README.md: the mark ${mark} is missing`)
    return text
  }
  return `${text.slice(0, at)}${mark}\n| setting | what it is | default |\n| --- | --- | --- |\n${rows.join('\n')}${text.slice(end)}`
}

function packageScripts(): Readonly<Record<string, string>> {
  return (JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> }).scripts
}

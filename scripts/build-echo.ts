import { readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import wabt from 'wabt'
import { packageRoot } from '../src/testnet/aos-module.ts'

// Writes src/modules/echo/echo.ts from echo.wat; with --check, fails if it is not what echo.wat gives.

const folder = join(packageRoot(dirname(fileURLToPath(import.meta.url))), 'src/modules/echo')
const source = await build(await readFile(join(folder, 'echo.wat'), 'utf8'))
const target = join(folder, 'echo.ts')

if (!process.argv.includes('--check')) await writeFile(target, source)
else if ((await readFile(target, 'utf8')) !== source) {
  console.error('src/modules/echo/echo.ts is not what echo.wat gives. Run: node dist/scripts/build-echo.js')
  process.exitCode = 1
}

async function build(wat: string): Promise<string> {
  const module = (await wabt()).parseWat('echo.wat', wat)
  const { buffer } = module.toBinary({})
  module.destroy()
  const lines =
    Buffer.from(buffer)
      .toString('base64')
      .match(/.{1,100}/g) ?? []
  return `// Written by scripts/build-echo.ts from echo.wat, where it is explained. Do not edit.

/** A small Process in plain Wasm that answers Ping with Pong: for demonstrations, and for tests without aos. */
export const echoModule = (): Uint8Array => Buffer.from(base64, 'base64')

/** The Module-Format of \`echoModule\`. */
export const echoFormat = 'ao-abi-1'

const base64 = [
${lines.map(line => `  '${line}',`).join('\n')}
].join('')
`
}

// Bundles AO-Sec Origin to the one JavaScript file that CUs run, from the same sources that nodes replay natively.
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const origin = join(root, 'src', 'modules', 'ao-sec-origin')
const guest = join(origin, 'guest')
const target = join(root, 'dist', 'src', 'modules', 'ao-sec-origin', 'bundle.js')

/** Node's parts that do not exist inside QuickJS, and what stands for them there. */
const replaced = new Map([
  ['node:crypto', join(guest, 'crypto.ts')],
  ['node:buffer', join(guest, 'buffer.ts')],
  ['lru-cache', join(guest, 'lru-cache.ts')],
  [join(root, 'src', 'protocol', 'signatures.ts'), join(guest, 'signatures.ts')],
])

const guestParts = {
  name: 'guest-parts',
  setup({ onResolve }) {
    onResolve({ filter: /.*/ }, ({ path, resolveDir, importer }) => {
      if (importer.startsWith(guest) && path.startsWith('.')) return undefined
      const place = path.startsWith('.') ? resolve(resolveDir, path) : path
      const other = replaced.get(place)
      return other === undefined ? undefined : { path: other }
    })
  },
}

const { metafile, outputFiles } = await build({
  entryPoints: [join(origin, 'handle.ts')],
  bundle: true,
  format: 'iife',
  globalName: '__module',
  target: 'es2022',
  minifySyntax: true,
  treeShaking: true,
  legalComments: 'none',
  banner: {
    js: '// AO-Sec Origin of aonet (Apache-2.0): src/modules/ao-sec-origin. Contains @noble/curves, @noble/hashes (MIT).',
  },
  inject: [join(guest, 'buffer.ts')],
  plugins: [guestParts],
  metafile: true,
  write: false,
  logLevel: 'warning',
})
mkdirSync(dirname(target), { recursive: true })
writeFileSync(target, outputFiles[0].contents)
if (process.argv.includes('--verbose')) {
  for (const [file, { bytesInOutput }] of Object.entries(Object.values(metafile.outputs)[0].inputs)) {
    if (bytesInOutput > 2000) console.error(`${String(bytesInOutput).padStart(7)} ${relative(root, file)}`)
  }
  console.error(`${outputFiles[0].contents.length} bytes: ${relative(root, target)}`)
}

import { readFileSync } from 'node:fs'

/** Of the package, read where it stands both in a checkout and when installed. */
export const version: string = (
  JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string }
).version

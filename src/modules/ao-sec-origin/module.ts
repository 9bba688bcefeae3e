import { fileURLToPath } from 'node:url'

/** The Module-Format of AO-Sec Origin. */
export const originFormat = 'js-quickjs-1'

/**
 * Where `npm run build` puts the bundle: a JavaScript file of its own beside the compiled sources, which whoever publishes
 * the module reads.
 */
export const originBundleFile = fileURLToPath(
  new URL(
    import.meta.url.includes('/dist/') ? './bundle.js' : '../../../dist/src/modules/ao-sec-origin/bundle.js',
    import.meta.url,
  ),
)

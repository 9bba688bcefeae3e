import { Command } from 'commander'
import { withDeadline } from '../../lib/abort.ts'
import { AoError } from '../../lib/errors.ts'
import { silentTelemetry } from '../../lib/telemetry.ts'
import type { ModuleId } from '../../protocol/ids.ts'
import { loadAosModule } from '../../testnet/aos-module.ts'
import { defaultTestnetDirectory, rememberModule, runningTestnet } from '../../testnet/layout.ts'
import { readUserFile } from '../arguments.ts'
import { type ConnectOptions, walletSigner } from '../connect.ts'
import { type OutputOptions, printResult, progress } from '../output.ts'

interface PublishOptions extends ConnectOptions, OutputOptions {
  readonly aos?: boolean
  readonly format?: string
  readonly name?: string
  readonly memoryLimit?: string
  readonly computeLimit?: string
  readonly arweaveUrl?: string
}

export const moduleCommand = (): Command =>
  new Command('module').description('Publish the code that Processes run.').addCommand(publishCommand())

const publishCommand = (): Command =>
  new Command('publish')
    .description('Put a Module on Arweave and print its id.')
    .argument('[file]', 'a Wasm or JavaScript file')
    .option('--aos', 'publish the aos module, taken from npm and checked by its SHA-256')
    .option('--format <format>', 'Module-Format, such as wasm32-unknown-emscripten4; by default what the file shows')
    .option('--name <name>', 'tag Name')
    .option('--memory-limit <size>', 'such as 512-mb')
    .option('--compute-limit <gas>', 'gas for one message')
    .option('--arweave-url <url>', "Arweave gateway to publish to; by default the running testnet's")
    .option('--wallet <file>', 'JWK file to sign with')
    .option('--testnet <directory>', 'directory of the testnet to look for')
    .addHelpText(
      'after',
      '\nExample:\n  aonet module publish --aos\n  aonet module publish token.js --name token\n  aonet module publish counter.wasm --compute-limit 1000000000',
    )
    .action(async (file: string | undefined, options: PublishOptions) => {
      const testnet = runningTestnet(options.testnet)
      const gatewayUrl = options.arweaveUrl ?? testnet?.arweave.url
      if (gatewayUrl === undefined) {
        throw new AoError(
          'INVALID_ARGUMENT',
          'no Arweave gateway is named and no testnet is running here',
          {},
          {
            hint: 'Name one with --arweave-url, or start a testnet.',
          },
        )
      }
      const { bytes, format, name } = await moduleFile(file, options)
      const [{ GatewayClient }, { publishModule }] = await Promise.all([
        import('../../arweave/gateway-client.ts'),
        import('../../client/module.ts'),
      ])
      const arweave = new GatewayClient(silentTelemetry, { gatewayUrl })
      const { memoryLimit, computeLimit } = options
      const limits = {
        ...(memoryLimit === undefined ? {} : { memoryLimit }),
        ...(computeLimit === undefined ? {} : { computeLimit }),
      }
      const signer = await walletSigner(options, testnet)
      const id: ModuleId = await publishModule(
        { bytes, format, name, ...limits },
        { arweave, signer },
        { signal: withDeadline(60_000) },
      )
      if (testnet !== undefined && options.arweaveUrl === undefined) {
        rememberModule(options.testnet ?? defaultTestnetDirectory, name ?? id, id)
      }
      printResult(`module  ${id}`, { module: id, format, bytes: bytes.length }, options)
    })

async function moduleFile(
  file: string | undefined,
  options: PublishOptions,
): Promise<{ bytes: Uint8Array; format: string; name: string | undefined }> {
  if (options.aos === true) {
    const aos = await loadAosModule(text => progress(text, options))
    if (aos !== undefined) return { bytes: aos.bytes, format: aos.format, name: options.name ?? 'aos' }
    throw new AoError(
      'UNKNOWN_MODULE',
      'the aos module cannot be had from npm',
      {},
      {
        hint: 'Check that npm reaches its registry, or publish a Wasm file of your own.',
      },
    )
  }
  if (file === undefined) {
    throw new AoError(
      'INVALID_ARGUMENT',
      'name a Wasm or JavaScript file, or --aos',
      {},
      { hint: 'See `aonet module publish --help`.' },
    )
  }
  const bytes = readUserFile(file)
  return { bytes, format: options.format ?? formatOf(file, bytes), name: options.name }
}

/** What a file can be taken for: JavaScript by its name, plain Wasm by the two functions it exports. */
function formatOf(file: string, bytes: Uint8Array): string {
  if (/\.[cm]?js$/.test(file)) return 'js-quickjs-1'
  const exported = WebAssembly.validate(bytes as Uint8Array<ArrayBuffer>)
    ? WebAssembly.Module.exports(new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>)).map(({ name }) => name)
    : []
  if (exported.includes('alloc') && exported.includes('handle') && !exported.includes('main')) return 'ao-abi-1'
  throw new AoError(
    'INVALID_ARGUMENT',
    'the file does not show which Module-Format it is',
    { file },
    { hint: 'Name it with --format, such as wasm32-unknown-emscripten4 for aos.' },
  )
}

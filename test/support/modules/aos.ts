import { type AosModule, type AosName, loadAosModule } from '../../../src/testnet/aos-module.ts'

/** The real aos Module, from the cache or from npm; a test that needs it fails with the reason if it cannot be had. */
export async function aosModule(name: AosName = 'aos2_0_4_32'): Promise<AosModule> {
  const said: string[] = []
  const module = await loadAosModule(text => said.push(text), { name })
  if (module === undefined) throw new Error(`these tests need the aos module: ${said.join('; ')}`)
  return module
}

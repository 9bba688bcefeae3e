import { utf8 } from '../../../src/lib/bytes.ts'
import type { ProcessSetup, VmMessage } from '../../../src/ports/vm.ts'
import type { AosName } from '../../../src/testnet/aos-module.ts'
import { aosModule } from '../modules/aos.ts'
import { evalOf, idOf, mebibytes, messageOf, setupOf, spawnOf } from '../modules/process.ts'
import { compileWat } from '../modules/wat.ts'
import { jsLimits, jsRunner } from './js-limits.ts'
import { plainWat } from './plain-wat.ts'

/** A Process and its first messages, whose results, gas and state must be the same wherever and however they run. */
export interface Scenario {
  readonly name: string
  setup(): Promise<ProcessSetup>
  readonly messages: readonly VmMessage[]
}

const process_ = idOf('determinism')

function aos(name: string, module: AosName): Scenario {
  return {
    name,
    setup: async () => ({
      ...setupOf(process_, { ...(await aosModule(module)), module }),
      // Little more than a spawn needs, so that loops end soon.
      limits: { memoryBytes: mebibytes(160), gas: 1_200_000_000n },
    }),
    messages: [spawnOf(process_), ...lua.map((code, i) => evalOf(process_, i + 1, code))],
  }
}

const lua = [
  'Log = {}; N = 0; return math.random(1000000) .. " " .. tostring({})',
  'N = N + 1; for i = 1, 50 do Log[#Log + 1] = ("entry %d"):format(i):rep(i) end; return #Log',
  'N = N + 1; error("on purpose")',
  'while true do end',
  'N = N + 1; return N .. " " .. os.time() .. " " .. os.date("%c", 86400) .. " " .. os.clock()',
  'local function f(n) return n == 0 and 0 or 1 + f(n - 1) end; return f(150)',
  'local function f() return f() + 1 end; return f()',
  'local function f() return (string.gsub("a", "a", function() return f() end)) end return f()',
  'return ("x"):rep(1e9)',
  'local t = {} for i = 1, 1e9 do t[i] = ("x"):rep(1e6) .. i end',
  'Kept = ("y"):rep(1e6); return #Kept',
  'return string.find(("a"):rep(30), ("a?"):rep(30) .. ("a"):rep(30))',
  'return string.format("%.17g %.3f %a", 0.1, 2/3, 1e-300) .. " " .. tostring(0/0) .. " " .. tostring(-(0/0))',
  'return math.sin(1) .. " " .. 2^0.5 .. " " .. math.exp(1.5) .. " " .. 7 // 0.3 .. " " .. math.huge',
  'local keys = {} for k in pairs({ a = 1, b = 2, c = 3, [1] = 4, [2.5] = 5 }) do keys[#keys + 1] = tostring(k) end; return table.concat(keys, " ")',
  'table.sort(Log, function(a, b) return #a > #b end); return Log[1]',
  'collectgarbage(); return collectgarbage("count")',
  'Send({ Target = ao.id, Action = "Note", Data = tostring(N) }); return N',
  'os.exit(3)',
  'return N .. #Log .. #Kept',
]

const quickJs: Scenario = {
  name: 'quickjs',
  setup: async () => ({
    ...setupOf(process_, { bytes: utf8(jsRunner), format: 'js-quickjs-1', module: 'runner' }),
    limits: { memoryBytes: mebibytes(48), gas: 400_000_000n },
  }),
  messages: Object.values(jsLimits).map((data, nonce) => messageOf(process_, nonce, { data })),
}

const plain: Scenario = {
  name: 'plain',
  setup: async () => ({
    ...setupOf(process_, { bytes: await compileWat(plainWat), format: 'ao-abi-1', module: 'plain' }),
    limits: { memoryBytes: mebibytes(4), gas: 200_000_000n },
  }),
  // The first letter of the Data says what to do.
  messages: [...'cccrcfcgcnclcdcthcmcgcgcgcgcc'].map((data, nonce) => messageOf(process_, nonce, { data })),
}

export const scenarios: readonly Scenario[] = [
  aos('aos-wasm32', 'aos2_0_4_32'),
  aos('aos-wasm64', 'aos2_0_6'),
  quickJs,
  plain,
]

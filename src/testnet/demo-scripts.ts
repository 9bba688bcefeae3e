import type { SendOptions } from '../client/client.ts'
import type { ModuleOptions } from '../client/module.ts'
import { echoModule } from '../modules/echo/echo.ts'
import type { ProcessId } from '../protocol/ids.ts'
import type { Result } from '../protocol/result.ts'
import { loadAosModule } from './aos-module.ts'

/** The same demonstration for different modules. */
export interface DemoScript {
  readonly name: string
  readonly module: ModuleOptions
  readonly first: DemoMessage
  readonly afterKill: DemoMessage
  readonly teachA: SendOptions | undefined
  readonly teachB: SendOptions | undefined
  ping(b: ProcessId): SendOptions
  /** How many messages the ping sets off. */
  readonly hops: number
  outputText(result: Result): string
  tryNext(a: ProcessId): readonly string[]
}
interface DemoMessage extends SendOptions {
  readonly shown: string
  readonly expected: string
}

/** With the real aos module; undefined if it cannot be had from npm. */
export async function aosScript(say: (text: string) => void): Promise<DemoScript | undefined> {
  const aos = await loadAosModule(say)
  if (aos === undefined) {
    say('The aos module cannot be had from npm here, so a small Wasm module of our own plays its part.')
    return undefined
  }
  return {
    name: 'aos',
    module: { bytes: aos.bytes, format: aos.format, name: 'aos' },
    first: {
      ...evaluate('Count = 41; Count = Count + 1; return Count'),
      shown: 'Count = 41; Count = Count + 1',
      expected: '42',
    },
    afterKill: { ...evaluate('Count = Count + 1; return Count'), shown: 'Count = Count + 1', expected: '43' },
    teachA: evaluate(`
      Handlers.add("pong", Handlers.utils.hasMatchingTag("Action", "Pong"), function (message)
        Rounds = (Rounds or 0) + 1
        if Rounds < 3 then Send({ Target = message.From, Action = "Ping", Data = tostring(Rounds + 1) }) end
      end)`),
    teachB: evaluate(`
      Handlers.add("ping", Handlers.utils.hasMatchingTag("Action", "Ping"), function (message)
        Send({ Target = message.From, Action = "Pong", Data = message.Data })
      end)`),
    ping: b => evaluate(`Send({ Target = "${b}", Action = "Ping", Data = "1" })`),
    hops: 6,
    outputText: ({ output }) => {
      const data = typeof output === 'object' && output !== null && 'data' in output ? output['data'] : output
      return typeof data === 'string' ? data : JSON.stringify(data)
    },
    tryNext: a => [`npx aonet eval ${a} 'return Count'`, `npx aonet dry-run ${a} --action Info`],
  }
}

/** With the small Wasm module that this package ships. */
export function echoScript(): DemoScript {
  return {
    name: 'echo',
    module: { bytes: echoModule(), format: 'ao-abi-1', name: 'echo' },
    // The Process item itself is the first message the module counts.
    first: { tags: [{ name: 'Action', value: 'Count' }], shown: 'Count', expected: 'count 2' },
    afterKill: { tags: [{ name: 'Action', value: 'Count' }], shown: 'Count', expected: 'count 5' },
    teachA: undefined,
    teachB: undefined,
    ping: b => ({
      tags: [
        { name: 'Action', value: 'Send-Ping' },
        { name: 'Recipient', value: b },
      ],
    }),
    hops: 2,
    outputText: ({ output }) => String(output),
    tryNext: a => [`npx aonet send ${a} --action Count`],
  }
}

const evaluate = (lua: string): SendOptions => ({ tags: [{ name: 'Action', value: 'Eval' }], data: lua })

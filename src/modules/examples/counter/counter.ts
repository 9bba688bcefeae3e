// A counter as a plain Wasm module (ao-abi-1), in AssemblyScript. `count` and all the heap are the state.
//
//   npx asc src/modules/examples/counter/counter.ts -o counter.wasm -O2 --runtime incremental \
//     --use abort= --exportStart _initialize
//   npx aonet module publish counter.wasm --name counter
//
// Actions: Add (tag Quantity, 1 without it) and Get.

import { Json, quote } from './json'

let count: i64 = 0
// What the host reads or writes must outlive the call that made it: the collector sees no pointers of the host.
let input: Uint8Array = new Uint8Array(0)
let output: ArrayBuffer = new ArrayBuffer(0)

/** The host asks where to put so many bytes. */
export function alloc(length: i32): usize {
  input = new Uint8Array(length)
  return input.dataStart
}

/** `{ "msg": …, "env": … }` lies at `pointer`. Gives pointer << 32 | length of the answer. */
export function handle(pointer: usize, length: i32): u64 {
  const message = new Json(String.UTF8.decodeUnsafe(pointer, length)).at('msg')
  output = String.UTF8.encode(answer(message))
  return (u64(changetype<usize>(output)) << 32) | u64(output.byteLength)
}

function answer(message: Json): string {
  const action = tag(message, 'Action')
  if (action == 'Get') return ok(`"Output":${quote(count.toString())}`)
  if (action != 'Add') return ok('"Output":"Send Add or Get."')
  const quantity = tag(message, 'Quantity')
  const step = quantity == '' ? 1 : I64.parseInt(quantity)
  if (step < 1 || step > 1_000_000) return `{"ok":false,"error":"Quantity is not a number from 1 to 1000000"}`
  count += step
  const tags = `[{"name":"Action","value":"Counted"},{"name":"Count","value":${quote(count.toString())}}]`
  const target = quote(message.at('From').text())
  return ok(`"Output":${quote(count.toString())},"Messages":[{"Target":${target},"Data":"","Tags":${tags}}]`)
}

function ok(fields: string): string {
  return `{"ok":true,"response":{${fields}}}`
}

/** The first tag of that name, or ''. */
function tag(message: Json, name: string): string {
  const tags = message.at('Tags').items()
  for (let i = 0; i < tags.length; i++) {
    if (tags[i].at('name').text() == name) return tags[i].at('value').text()
  }
  return ''
}

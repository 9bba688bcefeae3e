/**
 * Code for one message each, run in a JavaScript module: what hostile or careless authors write, and what engines tend
 * to do differently from run to run. `g` is an object that survives.
 */
export const jsLimits: Readonly<Record<string, string>> = {
  'endless loop': 'for (;;);',
  'endless loop that catches': 'for (;;) try { for (;;); } catch {} finally { continue }',
  'endless loop that makes garbage': 'for (;;) g.x = { y: [1, 2, 3] }',
  'endless generator': 'function* f() { for (;;) yield 1 } for (const x of f()) g.x = x',
  'endless destructuring': 'const [...all] = { *[Symbol.iterator]() { for (;;) yield 1 } }',
  'endless valueOf': 'const o = { valueOf() { return 1 } }; for (let i = 0n; ; i++) g.n = o + 1',
  'endless promise jobs': 'const f = () => Promise.resolve().then(f); f(); return "never run"',
  'awaiting for ever': 'const f = async () => { for (;;) await 0 }; f(); return "begun"',
  'regexp that backtracks': 'return /^(a+)+$/.test("a".repeat(40) + "!")',
  'regexp with two loops': 'return /(x+x+)+y/.test("x".repeat(60))',
  'regexp over a long text': 'return "ab".repeat(2e5).replace(/(?:a|b)*?c/g, "")',
  'regexp nested too deep': 'return new RegExp("(".repeat(2e4) + "a" + ")".repeat(2e4)).test("a")',
  'replace with a callback': 'let n = 0; "a".repeat(3e6).replace(/a/g, () => { n++; return "b" }); return n',
  'sort of many': 'return Array.from({ length: 5e3 }, (_, i) => (i * 7919) % 5003).sort((a, b) => a - b)[5]',
  'sort that lies':
    'let n = 0; return Array.from({ length: 3000 }, (_, i) => i).sort(() => (n++ % 3) - 1).join().length',
  'BigInt power': 'return String(3n ** 20000n).length',
  'BigInt power without end': 'return String(3n ** 4000000n).length',
  'BigInt to text': 'return String((1n << 20000n) - 1n).length',
  'BigInt factorial': 'let f = 1n; for (let i = 1n; i < 1500n; i++) f *= i; return String(f).length',
  'BigInt shift without bound': 'return 1n << 100000000000n',
  'JSON nested too deep': 'return JSON.parse("[".repeat(1e5) + "]".repeat(1e5))',
  'JSON of a deep object': 'let o = {}; for (let i = 0; i < 8e3; i++) o = { o }; return JSON.stringify(o).length',
  'JSON of a size': 'return JSON.parse("[" + "1234567,".repeat(2e4) + "0]").length',
  'source nested too deep': 'return eval("(".repeat(1e5) + "1" + ")".repeat(1e5))',
  'arrays nested too deep': 'let a = []; for (let i = 0; i < 2e4; i++) a = [a]; return a.flat(Infinity).length',
  'proxies in a row': 'let p = {}; for (let i = 0; i < 1e4; i++) p = new Proxy(p, {}); return p.x',
  'getters that call themselves': 'const o = { get x() { return this.x } }; return o.x',
  'toString that calls itself': 'const o = { toString() { return "" + o } }; return "" + o',
  recursion: 'let d = 0; const f = () => { d++; f() }; try { f() } catch (e) { return [d, String(e)] }',
  'recursion through apply':
    'let d = 0; const f = (...a) => { d++; f.apply(null, a) }; try { f(1) } catch { return d }',
  'recursion that catches': 'let d = 0; const f = () => { d++; try { f() } catch { } }; f(); return d',
  'recursion through sort': 'const f = () => [2, 1].sort(f); return f()',
  'too many arguments': 'return Math.max(...new Array(4e4).fill(1))',
  'array hog': 'const a = []; for (;;) a.push(new Uint8Array(1e6))',
  'text hog': 'let s = "x"; for (;;) s += s',
  'map hog': 'const m = new Map(); for (let i = 0; ; i++) m.set(i, [i])',
  'object hog': 'const o = {}; for (let i = 0; ; i++) o["key" + i] = i',
  'hog that survives its error':
    'try { g.a = []; for (;;) g.a.push("y".repeat(1e5) + g.a.length) } catch (e) { g.a = 0; return String(e) }',
  'buffer of a size': 'return new ArrayBuffer(2 ** 31).byteLength',
  'array of a length': 'return new Array(2 ** 32 - 1).fill(1).length',
  'endless typed array fill': 'const t = new Float64Array(1e6); for (;;) t.fill(1.5)',
  'text without end': 'return "x".repeat(2 ** 29).length',
  'padding without end': 'return "x".padStart(2 ** 30, "y").length',
  'huge answer': 'return "z".repeat(2e5)',
  'deep answer': 'let o = 1; for (let i = 0; i < 200; i++) o = [o]; return o',
  mathematics:
    'return ["sin", "cos", "tan", "exp", "log", "cbrt", "sinh", "log1p", "expm1", "atan"].map(f => Math[f](0.7))',
  'powers and roots': 'return [2 ** 0.5, 10 ** -5, Math.hypot(3, 4.1), Math.fround(0.1), 7 % -2.5, -0, 1 / -0 + ""]',
  'numbers as text':
    'return [0.1 + 0.2, 1e21, 1 / 3, 5e-324, 123.456.toFixed(1), (25).toString(36), 1e300 * 10 + ""] + ""',
  'bits of NaN': 'const b = new Float64Array([0 / 0, -NaN, Math.sqrt(-1)]); return [...new Uint8Array(b.buffer)]',
  dates:
    'return [new Date(), new Date(2024, 1, 30), new Date("2020-02-30"), Date.parse("1 Jan 2000"), new Date(0).getTimezoneOffset()]',
  chance: 'return [Math.random(), Math.random(), [1, 2, 3].sort(() => Math.random() - 0.5)]',
  'order of keys': 'return Object.keys({ b: 1, 2: 1, a: 1, 1: 1, [Symbol.iterator]: 1, "-1": 1 })',
  'words of errors':
    'const say = f => { try { f() } catch (e) { return String(e) } }; return [say(() => null.x), say(() => y), say(() => BigInt(1.5)), say(() => JSON.parse("{"))]',
  'stacks of errors': 'return new Error("x").stack',
  'names of functions': 'return [(() => {}).name, (class A {}).toString(), Function("a", "return a").toString()]',
  'what is global': 'return Object.getOwnPropertyNames(globalThis)',
  'what survived': 'g.n = (g.n || 0) + 1; return [Object.keys(g), g.n]',
}

/** A module that runs the code in its messages' Data. */
export const jsRunner = `
const g = {}
export function handle(msg) {
  const Output = Function('g', 'msg', msg.Data)(g, msg)
  return Output === undefined ? {} : { Output }
}`

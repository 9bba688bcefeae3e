import fc from 'fast-check'

const constants = ['2', '-1', '127']
const binary = ['add', 'sub', 'mul', 'and', 'or', 'xor', 'shl', 'shr_u', 'shr_s', 'rotl']
const comparisons = ['eq', 'ne', 'lt_s', 'lt_u', 'gt_s', 'gt_u', 'le_s', 'le_u', 'ge_s', 'ge_u']

const folded = ['and', 'or', 'eq', 'ne', 'lt_u', 'shl']

const size = { maxDepth: 4, depthSize: 'large', depthIdentifier: 'code' } as const

/** Values of which much is known: constants, the state, locals, and conditions built of them as optimizers do. */
const { condition } = fc.letrec<{ condition: string }>(tie => {
  const part = tie('condition')
  const number = fc.constantFrom(...constants).map(value => `(i32.const ${value})`)
  const operation = fc
    .tuple(fc.oneof({ weight: 12, arbitrary: fc.constantFrom(...folded) }, fc.constant('div_s')), part, part)
    .map(([name, a, b]) => `(i32.${name} ${a} ${b})`)
  return {
    condition: fc.oneof(
      { maxDepth: 4, depthSize: 'max', depthIdentifier: 'condition' },
      fc.constantFrom('(i32.const 0)', '(i32.const 1)', '(global.get $state)', '(local.get 0)', '(local.get 1)'),
      number,
      fc.tuple(fc.constantFrom('eq', 'ne'), number, number).map(([name, a, b]) => `(i32.${name} ${a} ${b})`),
      part.map(a => `(i32.eqz ${a})`),
      // Tells 0 and 1 from other values.
      part.map(a => `(i32.and ${a} (i32.const 1))`),
      part.map(a => `(i32.and (i32.const 1) ${a})`),
      { weight: 4, arbitrary: operation },
      fc.tuple(part, part, part).map(([a, b, c]) => `(select ${a} ${b} ${c})`),
    ),
  }
})

/** `i32`: an expression; `taken`: a branch that leaves what follows it dead; `statement`: code that leaves no value. */
type Code = 'i32' | 'taken' | 'statement'

/**
 * Code out of what a folder reads and what it must not touch: constants, the state, conditions built of both, choices,
 * arms, branches of all kinds over any number of blocks, with and without values, dead code, host calls, calls through the
 * table, memory, globals and traps. `$a`, `$b` and `$out` are blocks around it, `$v` one that has a value.
 */
const { i32, statement } = fc.letrec<Record<Code, string>>(tie => {
  const [value, code, taken] = [tie('i32'), tie('statement'), tie('taken')]
  const two = fc.tuple(value, value)
  const known = fc.oneof(condition, value)
  return {
    i32: fc.oneof(
      size,
      { weight: 8, arbitrary: condition },
      fc.constantFrom('(local.get 0)', '(local.get 1)', '(global.get $count)'),
      value.map(operand => `(i32.eqz ${operand})`),
      fc.tuple(fc.constantFrom(...binary), two).map(([name, [a, b]]) => `(i32.${name} ${a} ${b})`),
      fc.tuple(fc.constantFrom('div_s', 'rem_u'), two).map(([name, [a, b]]) => `(i32.${name} ${a} ${b})`),
      fc.tuple(fc.constantFrom(...comparisons), two).map(([name, [a, b]]) => `(i32.${name} ${a} ${b})`),
      fc.tuple(two, known).map(([[a, b], c]) => `(select ${a} ${b} ${c})`),
      fc.tuple(two, known).map(([[a, b], c]) => `(if (result i32) ${c} (then ${a}) (else ${b}))`),
      fc.tuple(code, value).map(([s, a]) => `(block (result i32) ${s} ${a})`),
      fc.tuple(two, known).map(([[a, b], c]) => `(block $v (result i32) (drop (br_if $v ${a} ${c})) ${b})`),
      fc.tuple(value, taken).map(([a, dead]) => `(block $v (result i32) (br $v ${a}) ${dead})`),
      fc.tuple(taken, value).map(([gone, a]) => `(block (result i32) ${gone} (i32.and ${a}))`),
      two.map(([a, b]) => `(block $v (result i32) (br_table $v $v ${a} ${b}))`),
      value.map(a => `(local.tee 1 ${a})`),
      value.map(a => `(call $sleep ${a})`),
      value.map(a => `(call $helper ${a})`),
      two.map(([a, at]) => `(call_indirect (type $one) ${a} (i32.and (i32.const 3) ${at}))`),
      value.map(at => `(i32.load offset=65500 (i32.and (i32.const 0x1f) ${at}))`),
      fc.tuple(value, known).map(([a, c]) => `(i32.wrap_i64 (select (local.get 2) (i64.extend_i32_s ${a}) ${c}))`),
      fc.constant('(i64.eq (local.get 2) (i64.const 1))'),
    ),
    taken: fc.oneof(
      size,
      { weight: 12, arbitrary: fc.constantFrom('(br $a)', '(br $b)', '(br $out)') },
      { weight: 10, arbitrary: value.map(a => `(br $v ${a})`) },
      fc.constant('(unreachable)'),
      value.map(a => `(return ${a})`),
      { weight: 10, arbitrary: value.map(at => `(br_table $a $b $out ${at})`) },
      { weight: 10, arbitrary: two.map(([a, at]) => `(br_table $v $v ${a} ${at})`) },
    ),
    statement: fc.oneof(
      size,
      fc.constant('(nop)'),
      fc
        .tuple(fc.constantFrom('local.set 0', 'local.set 1', 'global.set $count', 'drop'), value)
        .map(([opcode, a]) => `(${opcode} ${a})`),
      two.map(([at, a]) => `(i32.store offset=65500 (i32.and (i32.const 0x1f) ${at}) ${a})`),
      fc.tuple(known, code).map(([c, s]) => `(if ${c} (then ${s}))`),
      fc.tuple(known, code, code).map(([c, s, t]) => `(if ${c} (then ${s}) (else ${t}))`),
      fc.tuple(known, taken, code).map(([c, gone, s]) => `(if ${c} (then ${gone} ${s}))`),
      fc.tuple(known, taken, code).map(([c, gone, s]) => `(if ${c} (then ${gone}) (else ${s}))`),
      fc.tuple(code, code).map(([a, b]) => `${a} ${b}`),
      fc.tuple(fc.constantFrom('$a', '$b'), code, code).map(([name, s, t]) => `(block ${name} ${s} (block ${t}))`),
      fc.tuple(fc.constantFrom('$a', '$b', '$out'), known).map(([name, c]) => `(br_if ${name} ${c})`),
      fc.tuple(value, known).map(([a, c]) => `(drop (br_if $v ${a} ${c}))`),
      // Fuel only falls, so every loop ends.
      fc.tuple(fc.constantFrom('$a', '$next'), code, known).map(
        ([name, s, c]) => `(block (loop ${name}
          (global.set $fuel (i32.sub (global.get $fuel) (i32.const 1)))
          (if (i32.le_s (global.get $fuel) (i32.const 0)) (then (return (i32.const 9)))) ${s} (br_if ${name} ${c})))`,
      ),
    ),
  }
})

/** What a branch leaves is one step of several, and each value leaves its mark on `$count`. */
const step = fc.tuple(statement, i32).map(
  ([code, value]) => `(global.set $count (i32.add (i32.rotl (global.get $count) (i32.const 5))
      (block $v (result i32) (block $out (block $a (block $b ${code} (br $v ${value})))) (local.get 1))))`,
)

const body = fc.array(step, { minLength: 3, maxLength: 6 }).map(
  steps => `(local.set 2 (i64.extend_i32_u (local.get 0))) (local.set 1 (i32.mul (local.get 0) (i32.const 6)))
    (global.set $fuel (i32.sub (global.get $fuel) (i32.const 5)))
    (if (i32.le_s (global.get $fuel) (i32.const 0)) (then (return (i32.const 5))))
    ${steps.join(' ')} (i32.add (local.get 1) (global.get $count))`,
)

/** The functions that asyncify adds, around a state that `$state` is. */
const added = `(global $state (mut i32) (i32.const 0))
  (func (export "asyncify_start_unwind") (param i32) (global.set $state (i32.const 1)))
  (func (export "asyncify_stop_unwind") (global.set $state (i32.const 0)))
  (func (export "asyncify_start_rewind") (param i32) (global.set $state (i32.const 2)))
  (func (export "asyncify_stop_rewind") (global.set $state (i32.const 0)))
  (func (export "asyncify_get_state") (result i32) (global.get $state))`

const program = (bodies: readonly string[], state: string): string => `(module
  (import "env" "sleep" (func $sleep (param i32) (result i32)))
  (memory (export "memory") 1) (table 4 funcref) (elem (i32.const 0) $helper $twice $f $twice)
  (type $one (func (param i32) (result i32)))
  (global $count (export "count") (mut i32) (i32.const 0)) (global $fuel (export "fuel") (mut i32) (i32.const 0))
  (func $twice (type $one) (i32.mul (i32.const 2) (local.get 0)))
  (func $helper (type $one) (local i32 i64) ${bodies[0]})
  (func $f (export "f") (type $one) (local i32 i64) ${bodies[1]})
  ${state})`

/**
 * The text of a program, twice: with what asyncify adds written by hand, so that its code asks for the state wherever a
 * value may stand, and without it, for the real asyncify, with a zero in its place.
 */
export const programs = fc.tuple(body, body).map(bodies => ({
  byHand: program(bodies, added),
  plain: program(
    bodies.map(code => code.replaceAll('(global.get $state)', '(i32.const 0)')),
    '',
  ),
}))

const doc = (text: string): string => text.replaceAll('"', '\\"')

/** A plain module whose state is in globals as much as in memory. The first letter of a message's Data says what to do. */
export const plainWat = `(module
  (memory (export "memory") 2)
  (data (i32.const 16) "${doc('"Data":"')}")
  (data (i32.const 32) "${doc('{"ok":true,"response":{"Output":"0000000000000000"}}')}")
  (global $n (mut i64) (i64.const 1))
  (global $f (mut f64) (f64.const 1.5))
  (global $g (mut f32) (f32.const 0.1))
  (global $depth (mut i32) (i32.const 0))
  (func (export "alloc") (param i32) (result i32) (i32.const 8192))

  (func $letter (param $at i32) (param $length i32) (result i32) (local $end i32)
    (local.set $end (i32.add (local.get $at) (local.get $length)))
    (loop $next
      (if (i64.eq (i64.load align=1 (local.get $at)) (i64.load align=1 (i32.const 16)))
        (then (return (i32.load8_u offset=8 (local.get $at)))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $at) (local.get $end))))
    (unreachable))

  (func $show (param $value i64) (result i64) (local $i i32) (local $digit i32)
    (local.set $i (i32.const 15))
    (loop $next
      (local.set $digit (i32.and (i32.wrap_i64 (local.get $value)) (i32.const 15)))
      (i32.store8 offset=65 (local.get $i) (i32.add (local.get $digit)
        (select (i32.const 48) (i32.const 87) (i32.lt_u (local.get $digit) (i32.const 10)))))
      (local.set $value (i64.shr_u (local.get $value) (i64.const 4)))
      (local.set $i (i32.sub (local.get $i) (i32.const 1)))
      (br_if $next (i32.ge_s (local.get $i) (i32.const 0))))
    (i64.const ${(32n << 32n) | 52n}))

  (func $endless (param $x i64) (result i64)
    (global.set $depth (i32.add (global.get $depth) (i32.const 1)))
    (i64.add (call $endless (i64.add (local.get $x) (i64.const 1))) (local.get $x)))
  (func $down (param $left i32) (result i64)
    (if (result i64) (i32.eqz (local.get $left)) (then (global.get $n))
      (else (i64.add (call $down (i32.sub (local.get $left) (i32.const 1))) (i64.const 3)))))

  (func (export "handle") (param $at i32) (param $length i32) (result i64) (local $do i32)
    (local.set $do (call $letter (local.get $at) (local.get $length)))
    (global.set $n (i64.add (i64.mul (global.get $n) (i64.const 6364136223846793005)) (i64.const 1442695040888963407)))
    (if (i32.eq (local.get $do) (i32.const 0x63)) (then (return (call $show (global.get $n))))) ;; c: count
    (if (i32.eq (local.get $do) (i32.const 0x72)) (then (return (call $show (call $endless (i64.const 1)))))) ;; r: recurse
    (if (i32.eq (local.get $do) (i32.const 0x68)) (then (return (call $show (call $down (i32.const 4000)))))) ;; h: nearly
    (if (i32.eq (local.get $do) (i32.const 0x67)) (then (return (call $show (i64.extend_i32_s (memory.grow (i32.const 9))))))) ;; g
    (if (i32.eq (local.get $do) (i32.const 0x6c)) (then (loop $l (global.set $n (i64.const 5)) (br $l)))) ;; l: loop
    (if (i32.eq (local.get $do) (i32.const 0x64)) (then (return (call $show (i64.div_u (global.get $n) (i64.const 0)))))) ;; d
    (if (i32.eq (local.get $do) (i32.const 0x74)) (then (unreachable))) ;; t: trap
    (if (i32.eq (local.get $do) (i32.const 0x6e)) (then ;; n: NaN through memory
      (f64.store (i32.const 1024) (f64.div (f64.const 0) (f64.const 0)))
      (return (call $show (i64.load (i32.const 1024))))))
    (if (i32.eq (local.get $do) (i32.const 0x66)) (then ;; f: floats
      (global.set $f (f64.sub (f64.sqrt (global.get $f)) (f64.const 2)))
      (global.set $g (f32.mul (f32.demote_f64 (global.get $f)) (f32.const 0.3)))
      (return (call $show (i64.xor (i64.reinterpret_f64 (f64.sqrt (global.get $f)))
        (i64.extend_i32_u (i32.reinterpret_f32 (global.get $g))))))))
    (if (i32.eq (local.get $do) (i32.const 0x6d)) (then ;; m: memory in bulk
      (memory.fill (i32.const 66000) (i32.wrap_i64 (global.get $n)) (i32.const 30000))
      (memory.copy (i32.const 70001) (i32.const 66000) (i32.const 20000))
      (return (call $show (i64.load (i32.const 70003))))))
    (unreachable)))
`

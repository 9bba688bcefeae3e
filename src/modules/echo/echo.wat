;; A Process in plain Wasm (ao-abi-1, see src/vm/wasm-vm.ts) that answers Ping with Pong.
;;
;; Every message adds one to a counter and gives Output "count <n>".
;;   Action=Ping       sends Action=Pong with Data=<n> to the message's From
;;   Action=Send-Ping  sends Action=Ping to the tag Recipient
;;   Action=Fail       gives an Error; Action=Trap traps; Action=Spin never ends
;; All state is in memory, so there are no globals.
;;
;; Memory: 0 counter, 4 end of the answer so far, 64.. texts, 1024 input, then the answer. Texts end with a zero byte.
;; Build: node dist/scripts/build-echo.js
(module
  (memory (export "memory") 1)

  (data (i32.const 64) "\"env\":{\00")
  (data (i32.const 80) "\"From\":\"\00")
  (data (i32.const 96) "\"name\":\"Action\",\"value\":\"\00")
  (data (i32.const 128) "\"name\":\"Recipient\",\"value\":\"\00")
  (data (i32.const 176) "Ping\22\00")
  (data (i32.const 192) "Send-Ping\22\00")
  (data (i32.const 208) "Fail\22\00")
  (data (i32.const 224) "Trap\22\00")
  (data (i32.const 240) "Spin\22\00")
  (data (i32.const 256) "{\"ok\":true,\"response\":{\"Error\":\"asked to fail\"}}\00")
  (data (i32.const 320) "{\"ok\":true,\"response\":{\"Output\":\"count \00")
  (data (i32.const 368) "\",\"Messages\":[\00")
  (data (i32.const 400) "],\"Spawns\":[],\"Assignments\":[]}}\00")
  (data (i32.const 448) "{\"Target\":\"\00")
  (data (i32.const 464) "\",\"Anchor\":\"\00")
  (data (i32.const 480) "\",\"Data\":\"\00")
  (data (i32.const 496) "\",\"Tags\":[{\"name\":\"Data-Protocol\",\"value\":\"ao\"},{\"name\":\"Variant\",\"value\":\"ao.TN.1\"},{\"name\":\"Type\",\"value\":\"Message\"},{\"name\":\"Action\",\"value\":\"\00")
  (data (i32.const 672) "\"}]}\00")
  (data (i32.const 688) "Ping\00")
  (data (i32.const 704) "Pong\00")

  ;; Room for the input and an answer that repeats a part of it. Traps if there is none.
  (func (export "alloc") (param $length i32) (result i32)
    (local $missing i32)
    (local.set $missing (i32.sub
      (i32.add (i32.shl (local.get $length) (i32.const 1)) (i32.const 4096))
      (i32.shl (memory.size) (i32.const 16))))
    (if (i32.gt_s (local.get $missing) (i32.const 0))
      (then (if (i32.lt_s
          (memory.grow (i32.add (i32.shr_u (local.get $missing) (i32.const 16)) (i32.const 1)))
          (i32.const 0))
        (then unreachable))))
    (i32.const 1024))

  (func (export "handle") (param $input i32) (param $length i32) (result i64)
    (local $end i32) (local $action i32) (local $count i32)
    (local.set $end (i32.add (local.get $input) (local.get $length)))
    ;; The environment follows the message: its tags are the Process's own, and not looked at.
    (local.set $action (call $find (local.get $input) (local.get $end) (i32.const 64)))
    (if (local.get $action) (then (local.set $end (local.get $action))))
    (local.set $action (call $find (local.get $input) (local.get $end) (i32.const 96)))

    (if (call $is (local.get $action) (i32.const 224)) (then unreachable))
    (if (call $is (local.get $action) (i32.const 240)) (then (loop $forever (br $forever))))

    (local.set $count (i32.add (i32.load (i32.const 0)) (i32.const 1)))
    (i32.store (i32.const 0) (local.get $count))
    (i32.store (i32.const 4) (i32.add (i32.const 1024) (local.get $length)))

    (if (call $is (local.get $action) (i32.const 208))
      (then (call $put (i32.const 256)))
      (else
        (call $put (i32.const 320))
        (call $put_number (local.get $count))
        (call $put (i32.const 368))
        (if (call $is (local.get $action) (i32.const 176))
          (then (call $put_message
            (call $find (local.get $input) (local.get $end) (i32.const 80)) (i32.const 704) (local.get $count))))
        (if (call $is (local.get $action) (i32.const 192))
          (then (call $put_message
            (call $find (local.get $input) (local.get $end) (i32.const 128)) (i32.const 688) (local.get $count))))
        (call $put (i32.const 400))))

    (i64.or
      (i64.shl (i64.extend_i32_u (i32.add (i32.const 1024) (local.get $length))) (i64.const 32))
      (i64.extend_i32_u (i32.sub (i32.load (i32.const 4)) (i32.add (i32.const 1024) (local.get $length))))))

  ;; Where the first match of a text ends, or 0. A quote inside a JSON string is escaped, so a text that begins with one
  ;; matches at a real key or value only.
  (func $find (param $from i32) (param $end i32) (param $text i32) (result i32)
    (block $none
      (loop $next
        (br_if $none (i32.ge_u (local.get $from) (local.get $end)))
        (if (call $is (local.get $from) (local.get $text))
          (then (return (i32.add (local.get $from) (call $length (local.get $text))))))
        (local.set $from (i32.add (local.get $from) (i32.const 1)))
        (br $next)))
    (i32.const 0))

  ;; Whether the bytes at $at begin with a text. Nothing matches at 0.
  (func $is (param $at i32) (param $text i32) (result i32)
    (if (i32.eqz (local.get $at)) (then (return (i32.const 0))))
    (loop $next
      (if (i32.eqz (i32.load8_u (local.get $text))) (then (return (i32.const 1))))
      (if (i32.ne (i32.load8_u (local.get $at)) (i32.load8_u (local.get $text))) (then (return (i32.const 0))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (local.set $text (i32.add (local.get $text) (i32.const 1)))
      (br $next))
    unreachable)

  (func $length (param $text i32) (result i32)
    (local $end i32)
    (local.set $end (local.get $text))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (i32.load8_u (local.get $end))))
        (local.set $end (i32.add (local.get $end) (i32.const 1)))
        (br $next)))
    (i32.sub (local.get $end) (local.get $text)))

  (func $put_byte (param $byte i32)
    (i32.store8 (i32.load (i32.const 4)) (local.get $byte))
    (i32.store (i32.const 4) (i32.add (i32.load (i32.const 4)) (i32.const 1))))

  (func $put (param $text i32)
    (loop $next
      (if (i32.load8_u (local.get $text))
        (then
          (call $put_byte (i32.load8_u (local.get $text)))
          (local.set $text (i32.add (local.get $text) (i32.const 1)))
          (br $next)))))

  (func $put_number (param $number i32)
    (if (i32.ge_u (local.get $number) (i32.const 10))
      (then (call $put_number (i32.div_u (local.get $number) (i32.const 10)))))
    (call $put_byte (i32.add (i32.const 48) (i32.rem_u (local.get $number) (i32.const 10)))))

  ;; 32 digits, as anchors are.
  (func $put_anchor (param $number i32)
    (local $digits i32) (local $rest i32)
    (local.set $digits (i32.const 32))
    (local.set $rest (local.get $number))
    (loop $count
      (local.set $digits (i32.sub (local.get $digits) (i32.const 1)))
      (br_if $count (local.tee $rest (i32.div_u (local.get $rest) (i32.const 10)))))
    (loop $pad
      (call $put_byte (i32.const 48))
      (br_if $pad (local.tee $digits (i32.sub (local.get $digits) (i32.const 1)))))
    (call $put_number (local.get $number)))

  ;; Copies a JSON string, escapes and all, up to its closing quote.
  (func $put_string (param $at i32)
    (local $byte i32)
    (if (i32.eqz (local.get $at)) (then (return)))
    (loop $next
      (local.set $byte (i32.load8_u (local.get $at)))
      (if (i32.eq (local.get $byte) (i32.const 34)) (then (return)))
      (call $put_byte (local.get $byte))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (if (i32.eq (local.get $byte) (i32.const 92))
        (then
          (call $put_byte (i32.load8_u (local.get $at)))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))))
      (br $next)))

  (func $put_message (param $target i32) (param $action i32) (param $count i32)
    (call $put (i32.const 448))
    (call $put_string (local.get $target))
    (call $put (i32.const 464))
    (call $put_anchor (local.get $count))
    (call $put (i32.const 480))
    (call $put_number (local.get $count))
    (call $put (i32.const 496))
    (call $put (local.get $action))
    (call $put (i32.const 672))))

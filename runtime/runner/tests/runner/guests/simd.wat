;; Exits with 42, computed by a SIMD, a bulk-memory, a tail call and a sign extension instruction.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func $same (param i32) (result i32) (local.get 0))
  (func $tail (param i32) (result i32) (return_call $same (local.get 0)))
  (func (export "_start")
    (memory.fill (i32.const 64) (i32.const 2) (i32.const 16))
    (call $exit (call $tail (i32.extend8_s
      (i8x16.extract_lane_u 3
        (i8x16.add (v128.load (i32.const 64)) (i8x16.splat (i32.const 40)))))))))

;; Runs TRAP, an instruction sequence that traps.
(module
  (memory (export "memory") 1)
  (func $deeper (param i64) (result i64)
    (i64.add (i64.const 1) (call $deeper (local.get 0))))
  (func (export "_start") TRAP))

;; Exits with 0 if its memory grows by PAGES pages, else with 1.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (call $exit (i32.lt_s (memory.grow (i32.const PAGES)) (i32.const 0)))))

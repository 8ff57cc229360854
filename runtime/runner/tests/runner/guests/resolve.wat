;; Resolves the name localhost with WAMR's socket extension, and exits with the errno.
(module
  (import "wasi_snapshot_preview1" "sock_addr_resolve"
    (func $resolve (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 100) "localhost\00")
  (data (i32.const 120) "80\00")
  ;; Hints: type stream, family IPv4, in force.
  (data (i32.const 140) "\01\00\00\00\00\00\00\00\01\00\00\00")
  (func (export "_start")
    (call $exit
      (call $resolve (i32.const 100) (i32.const 120) (i32.const 140) (i32.const 200)
        (i32.const 4) (i32.const 600)))))

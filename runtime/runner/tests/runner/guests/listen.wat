;; Opens a socket and listens on it without an address, and exits with the first errno.
(module
  (import "wasi_snapshot_preview1" "sock_open"
    (func $open (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_listen" (func $listen (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start") (local $error i32)
    ;; No pool, family 0 (IPv4), type 1 (stream).
    (local.set $error (call $open (i32.const -1) (i32.const 0) (i32.const 1) (i32.const 200)))
    (if (local.get $error) (then (call $exit (local.get $error))))
    (call $exit (call $listen (i32.load (i32.const 200)) (i32.const 1)))))

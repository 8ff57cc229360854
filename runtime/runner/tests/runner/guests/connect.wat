;; Connects to 127.0.0.1:PORT with WAMR's socket extension, and exits with the errno.
(module
  (import "wasi_snapshot_preview1" "sock_open"
    (func $open (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_connect" (func $connect (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  ;; The address: kind 0 (IPv4), 127.0.0.1, the port.
  (data (i32.const 100) "\00\00\00\00\7f\00\00\01")
  (func (export "_start")
    (i32.store16 (i32.const 108) (i32.const PORT))
    ;; No pool, family 0 (IPv4), type 1 (stream).
    (drop (call $open (i32.const -1) (i32.const 0) (i32.const 1) (i32.const 200)))
    (call $exit (call $connect (i32.load (i32.const 200)) (i32.const 100)))))

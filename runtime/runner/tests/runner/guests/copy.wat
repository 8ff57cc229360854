;; Copies the file `in` of the first preopened directory to `out`. Exits with the first errno.
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read"
    (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 100) "PATH_IN")
  (data (i32.const 300) "PATH_OUT")
  (func $check (param i32) (if (local.get 0) (then (call $exit (local.get 0)))))
  (func (export "_start")
    ;; 0: iovec, 8: count, 12: descriptor, 1024: content. Right 2 reads, right 64 writes.
    (call $check (call $open (i32.const 3) (i32.const 1) (i32.const 100) (i32.const LENGTH_IN)
      (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 12)))
    (i32.store (i32.const 0) (i32.const 1024))
    (i32.store (i32.const 4) (i32.const 4096))
    (call $check
      (call $read (i32.load (i32.const 12)) (i32.const 0) (i32.const 1) (i32.const 8)))
    (call $check (call $open (i32.const 3) (i32.const 1) (i32.const 300) (i32.const LENGTH_OUT)
      (i32.const 9) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 12)))
    (i32.store (i32.const 4) (i32.load (i32.const 8)))
    (call $check
      (call $write (i32.load (i32.const 12)) (i32.const 0) (i32.const 1) (i32.const 8)))))

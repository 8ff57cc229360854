;; Reads a byte of standard input, writes "out" and "err". Exits with 100 times the bytes read
;; plus 1 if standard output failed, plus 2 if standard error did.
(module
  (import "wasi_snapshot_preview1" "fd_read"
    (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 100) "out")
  (data (i32.const 200) "err")
  (func $put (param $fd i32) (param $text i32) (result i32)
    (i32.store (i32.const 0) (local.get $text))
    (i32.store (i32.const 4) (i32.const 3))
    (i32.ne (i32.const 0)
      (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
  (func (export "_start")
    (i32.store (i32.const 16) (i32.const 1024))
    (i32.store (i32.const 20) (i32.const 1))
    (if (call $read (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 24))
      (then (call $exit (i32.const 99))))
    (call $exit (i32.add
      (i32.mul (i32.load (i32.const 24)) (i32.const 100))
      (i32.add
        (call $put (i32.const 1) (i32.const 100))
        (i32.mul (call $put (i32.const 2) (i32.const 200)) (i32.const 2)))))))

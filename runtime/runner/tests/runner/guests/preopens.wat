;; Prints the name of each preopened directory, a NUL after each.
(module
  (import "wasi_snapshot_preview1" "fd_prestat_get" (func $stat (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_dir_name"
    (func $name (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start") (local $fd i32) (local $length i32)
    (local.set $fd (i32.const 3))
    (loop $next
      (if (i32.eqz (call $stat (local.get $fd) (i32.const 0)))
        (then
          (local.set $length (i32.load (i32.const 4)))
          (drop (call $name (local.get $fd) (i32.const 1024) (local.get $length)))
          (i32.store8 (i32.add (i32.const 1024) (local.get $length)) (i32.const 0))
          (i32.store (i32.const 16) (i32.const 1024))
          (i32.store (i32.const 20) (i32.add (local.get $length) (i32.const 1)))
          (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 32)))
          (local.set $fd (i32.add (local.get $fd) (i32.const 1)))
          (br $next))))))

// What wasmtime's own build writes into wasmtime/conf.h: the features of Cargo.toml.
#ifndef WASMTIME_CONF_H
#define WASMTIME_CONF_H
#define WASMTIME_FEATURE_CRANELIFT
#define WASMTIME_FEATURE_COMPILER
#define WASMTIME_FEATURE_WASI
#define WASMTIME_FEATURE_WAT
#endif

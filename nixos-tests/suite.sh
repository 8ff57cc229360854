#!/usr/bin/env bash
# Gathers what nixos-tests/privileged.py takes into a machine: the runtime's privileged tests, the
# programs under test, and what they need that a machine may lack. suite.sh DIRECTORY PROGRAMS
set -eu -o pipefail
suite=$1 programs=$2
here=$(dirname "${BASH_SOURCE[0]}")/..

build=(cargo test --locked --package wamr-crun --test privileged --no-run)
tests=$("${build[@]}" --message-format=json-render-diagnostics |
    sed -n 's/.*"executable":"\([^"]*\/privileged-[^"]*\)".*/\1/p')
[ -n "$tests" ] || { echo "no test program came of: ${build[*]}" >&2; exit 1; }

rm -rf "$suite"
mkdir -p "$suite/bin" "$suite/guests"
strip --strip-debug -o "$suite/privileged" "$tests"
cp "$programs"/{wamr-crun,wamr-runner,wasmtime-runner,wamr-compile} "$suite/bin/"
cp "$(command -v busybox)" "$suite/bin/"
# A user without them has one id; they are not in every machine.
cp "$(command -v newuidmap)" "$(command -v newgidmap)" "$suite/"
guests=("$here"/runtime/tests/privileged/guests/*.c
    "$here"/vm-images/workloads/{http,memory,microservice}.c)
for source in "${guests[@]}"; do
    name=${source##*/}
    clang --target=wasm32-wasi --sysroot=/usr -mcpu=mvp -Os -s \
        -o "$suite/guests/${name%.c}.wasm" "$source"
done

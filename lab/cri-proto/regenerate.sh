#!/bin/sh
# Makes the lab's messages of the CRI anew and compares them with lab/src/cri/generated.rs:
# exit status 1 if they differ. With --write it writes them there instead.
# Needs protoc: Debian's package protobuf-compiler.
set -eu
cd "$(dirname "$0")"
committed=../src/cri/generated.rs
command -v protoc >/dev/null || {
    echo 'regenerate.sh: there is no protoc: apt-get install protobuf-compiler' >&2
    exit 1
}
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
cargo run --quiet --locked --target-dir "${CARGO_TARGET_DIR:-../../target}/cri-proto" -- "$made" \
    >"$made/generated.rs"
rustfmt --edition 2024 --config-path ../../rustfmt.toml "$made/generated.rs"
if [ "${1:-}" = --write ]; then
    cp "$made/generated.rs" "$committed"
elif ! diff -u "$committed" "$made/generated.rs"; then
    echo 'lab/src/cri/generated.rs is not what runtime.proto gives: regenerate.sh --write' >&2
    exit 1
fi

#!/bin/sh
# Fuzzes for MINUTES each: the targets named as arguments, or all. WAMR_RUNNER names the runner.
#
# The flags are those of libFuzzer's coverage, which the pinned compiler knows. What was found lies
# in target/fuzz/findings, the corpus beside it; `target/fuzz/…/TARGET FILE` runs one input again.
# A target may have seeds/TARGET, inputs to begin with, and TARGET.dict, words to put together.
set -eu

cd "$(dirname "$0")"
target=$(cd ../.. && pwd)/${CARGO_TARGET_DIR:-target}/fuzz
triple=$(uname -m)-unknown-linux-gnu
minutes=${MINUTES:-10}
[ $# -gt 0 ] || set -- $(sed -n 's/^name = "\(.*\)"$/\1/p' Cargo.toml | tail -n +2)

flags='--cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module'
for option in level=4 inline-8bit-counters pc-table trace-compares; do
    flags="$flags -Cllvm-args=-sanitizer-coverage-$option"
done
RUSTFLAGS=$flags CARGO_TARGET_DIR=$target nice -n 19 \
    cargo build --locked --release --target "$triple" $(printf -- '--bin %s ' "$@")

WAMR_FUZZ_SCRATCH=$(mktemp -d)
export WAMR_FUZZ_SCRATCH
trap 'rm -rf "$WAMR_FUZZ_SCRATCH"' EXIT
mkdir -p "$target/findings"
for name in "$@"; do
    echo "== fuzz: $name, $minutes min"
    mkdir -p "$target/corpus/$name"
    more=
    [ ! -d "seeds/$name" ] || more="$PWD/seeds/$name"
    [ ! -f "$name.dict" ] || more="$more -dict=$PWD/$name.dict"
    nice -n 19 "$target/$triple/release/$name" -max_total_time=$((minutes * 60)) \
        -print_final_stats=1 -verbosity=0 -timeout=20 -rss_limit_mb=4096 \
        -artifact_prefix="$target/findings/$name-" "$target/corpus/$name" $more
done

#!/usr/bin/env bash
# Builds the validation programs of runtime-tools into the directory $1, as they expect to be run:
# bin/ with a program each, beside it runtimetest and the archive of their root file system.
set -eu -o pipefail
unset CDPATH
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
module=github.com/opencontainers/runtime-tools
export CGO_ENABLED=0 GOFLAGS=-mod=readonly
cache=${WAMR_LAB_CACHE:-/var/cache/wamr-lab}
if mkdir -p "$cache/go/mod" 2>/dev/null && [ -w "$cache/go/mod" ]; then
    export GOMODCACHE="$cache/go/mod" GOCACHE="$cache/go/build"
fi
mkdir -p "$1/bin"
out=$(cd "$1" && pwd)
cd "$here"
# `...` does not match vendored or test files; the packages without main are not written.
go build -o "$out/bin/" "$module/validation/..."
go build -o "$out/runtimetest" "$module/cmd/runtimetest"
source=$(go list -m -f '{{.Dir}}' "$module")
install -m 644 "$source/rootfs-$(go env GOARCH).tar.gz" "$out/"

#!/bin/sh
# Packs what a reviewer downloads: the committed sources with their lock files, the committed raw
# data, and the reports made from them. The same commit gives the same bytes.
#
# Usage: analysis/artifact.sh WAMR_REPORT OUT_DIRECTORY
set -eu

report=$1
out=$2
commit=$(git rev-parse HEAD)
when=$(git log -1 --format=%ct)
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
name="wamr-crun-$version-artifact"

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
top=$stage/$name
mkdir -p "$top" "$out"

git archive --format=tar HEAD | tar -x -C "$top" -f -
printf '%s\n' "$commit" > "$top/COMMIT"

# A folder of data that holds a manifest is a run, and so is what an archive there holds: the report
# of each is made anew from its raw data.
mkdir -p "$stage/runs"
find "$top/data" -name run.tar.gz | LC_ALL=C sort | while read -r packed; do
    tar --extract --gzip --file "$packed" --directory "$stage/runs"
done
find "$top/data" "$stage/runs" -name manifest.json | LC_ALL=C sort | while read -r manifest; do
    run=$(dirname "$manifest")
    "$report" verify "$run"
    "$report" build "$run" --out "$top/reports/$(basename "$run")" > "$stage/log"
done

(cd "$top" && find . -type f ! -name SHA256SUMS -print0 | LC_ALL=C sort -z |
    xargs -0 sha256sum > SHA256SUMS)
archive=$out/$name.tar.gz
tar --create --sort=name --mtime="@$when" --owner=0 --group=0 --numeric-owner \
    --mode=u+rwX,go+rX,go-w --format=gnu --directory "$stage" "$name" |
    gzip --no-name --best > "$archive"
sha256sum "$archive"

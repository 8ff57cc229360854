#!/bin/sh
# The recorded runs in data/NAME/run.tar.gz: archives, since their readings are many lines of text.
#
#   analysis/reference.sh pack WAMR_REPORT RUN      RUN becomes data/NAME, with its report
#   analysis/reference.sh check WAMR_REPORT SCRATCH each is verified, and its report made again must
#                                                   be the committed one, byte for byte
set -eu

act=$1
report=$2
top=$(cd "$(dirname "$0")/.." && pwd)

# The same run gives the same bytes, wherever and by whomever it is packed.
pack() {
    run=$(realpath "$1")
    name=$(basename "$run")
    "$report" verify "$run"
    rm -rf "${top:?}/data/$name"
    mkdir -p "$top/data/$name"
    tar --create --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner \
        --mode=u+rwX,go+rX,go-w --format=gnu --directory "$(dirname "$run")" "$name" |
        gzip --no-name --best > "$top/data/$name/run.tar.gz"
    "$report" build "$run" --out "$top/data/$name/report"
}

check() {
    find "$top/data" -name run.tar.gz | LC_ALL=C sort | while read -r archive; do
        name=$(basename "$(dirname "$archive")")
        rm -rf "${1:?}/$name" "$1/$name-report"
        mkdir -p "$1"
        tar --extract --gzip --file "$archive" --directory "$1" "$name"
        "$report" verify "$1/$name"
        "$report" build "$1/$name" --out "$1/$name-report" > "$1/$name.log"
        diff -r "$(dirname "$archive")/report" "$1/$name-report"
        echo "data/$name: the report comes out as it is committed"
    done
}

case $act in
pack | check) "$act" "$3" ;;
*) echo "usage: $0 pack WAMR_REPORT RUN | check WAMR_REPORT SCRATCH" >&2; exit 2 ;;
esac

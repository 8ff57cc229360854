#!/usr/bin/env bash
# check.sh: every .nix file parses, is read by deadnix, and evaluates with nix/stubs in the place of
# nixpkgs; machines that the modules must refuse are refused in the expected words; docs/options.md
# is up to date; the testScripts use what the driver has. check.sh options writes docs/options.md.
#
# With NIXPKGS_LIB=FOLDER, nixpkgs' real lib evaluates the modules in place of the stand-in.
set -eu -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
here=nix/offline
scratch=$(mktemp -d)
trap 'chmod -R u+w "$scratch"; rm -rf "$scratch"' EXIT
# Nix' own warnings of a missing group are none of ours; nothing is built or fetched.
export NIX_CONF_DIR=$scratch XDG_CACHE_HOME=$scratch
echo 'build-users-group =' >"$scratch/nix.conf"
passed=0 failed=0

verdict() {
    if [ "$1" = 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAILED: %s\n%s\n' "$2" "$(tail -n 15 "$scratch/said")"
    fi
}

expect() {
    local name=$1 code=0
    shift
    "$@" >"$scratch/said" 2>&1 || code=$?
    verdict "$code" "$name"
}

evaluate() {
    nix-instantiate --store "$scratch/store" --eval --strict --json "$@"
}

files() {
    git ls-files --cached --others --exclude-standard '*.nix' | while read -r file; do
        [ ! -e "$file" ] || echo "$file"
    done
}

# A string of Nix as text.
text() {
    evaluate "$@" | python3 -c 'import json, sys; print(json.load(sys.stdin), end="")'
}

options() {
    text "$here/options.nix"
}

parses() {
    local file
    while read -r file; do
        nix-instantiate --store dummy:// --parse "$file" >/dev/null || return 1
    done < <(files)
}

# A machine that is refused, and why it must be.
refused() {
    local name=$1 words
    words=$(text "$here/refused.nix" --attr "$name.expected")
    if evaluate "$here/refused.nix" --attr "$name.system" 2>"$scratch/why"; then
        echo 'nothing refused it'
        return 1
    fi
    grep --fixed-strings --quiet -- "$words" "$scratch/why" && return
    echo "it does not say: $words"
    cat "$scratch/why"
    return 1
}

# Cargo reads a workspace whole, whichever package it builds.
sources() {
    local paths
    local source='import ./nix/source.nix { lib = import ./nix/stubs/nixpkgs/lib; }'
    paths=$(evaluate --expr "($source).src.files" | tr -d '[]"' | tr ',' '\n')
    mkdir "$scratch/sources"
    while read -r path; do
        git ls-files --cached --others --exclude-standard "${path#"$PWD/"}"
    done <<<"$paths" | xargs tar --create | tar --extract --directory "$scratch/sources"
    cargo metadata --manifest-path "$scratch/sources/Cargo.toml" --locked --offline --no-deps \
        --format-version 1 >/dev/null
}

scripts() {
    evaluate "$here/scripts.nix" | python3 "$here/scripts.py"
}

flake() {
    "$here/flake.sh" check --no-build
}

if [ "${1:-}" = options ]; then
    options >docs/options.md
    exit
fi
expect 'every .nix file parses' parses
# shellcheck disable=SC2046 # file names of this repository
expect 'deadnix finds nothing' deadnix --fail --no-lambda-pattern-names $(files)
expect 'the stand-in for lib does what it should' evaluate "$here/lib-test.nix"
expect 'the sources of the packages are a whole workspace' sources
expect 'the flake evaluates, with every check and package' flake
if [ -n "${NIXPKGS_LIB:-}" ]; then
    expect 'all of it evaluates with the real lib' evaluate "$here/everything.nix"
else
    printf 'nix-check\tnixpkgs-lib\tNIXPKGS_LIB does not name it\n' |
        tee -a "${WAMR_TEST_SKIPPED:-/dev/null}"
fi
expect 'the shim is a handler beside that of the runtime' evaluate "$here/shim.nix"
names=$(evaluate --expr "builtins.attrNames (import ./$here/refused.nix)")
for name in $(tr -d '[]"' <<<"$names" | tr ',' ' '); do
    expect "refused: $name" refused "$name"
done
expect 'docs/options.md is up to date: make nix-options' diff docs/options.md <(options)
expect 'the testScripts use what the driver documents' scripts
expect 'the sweep script is a script' bash -n nix/sweep.sh
if [ "$failed" = 0 ]; then word=ok; else word=FAILED; fi
echo "test result: $word. $passed passed; $failed failed (nix)"
[ "$failed" = 0 ]

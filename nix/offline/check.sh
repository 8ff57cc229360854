#!/usr/bin/env bash
# check.sh: every .nix file parses, is read by deadnix, and evaluates with nix/stubs in the place of
# nixpkgs; what NixOS makes of it is what is meant; machines that the modules must refuse are
# refused in the expected words; docs/options.md is up to date; the testScripts use what the driver
# has. check.sh options writes docs/options.md.
#
# With NIXPKGS_LIB=FOLDER, nixpkgs' real lib evaluates the modules in place of the stand-in. That
# needs a newer Nix than some distributions have, which vm-images/host/nix.sh gets; without a
# network the machine's own does all the rest.
set -eu -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
here=nix/offline
if place=$(vm-images/host/nix.sh); then
    PATH=$place:$PATH
elif [ -n "${NIXPKGS_LIB:-}" ]; then
    exit 1
fi
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

skip() {
    printf 'nix-check\t%s\t%s\n' "$1" "$2" | tee -a "${WAMR_TEST_SKIPPED:-/dev/null}"
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

# As treefmt calls it.
finds_nothing() {
    local words
    words=$(evaluate "$here/formatter.nix" | tr -d '[]"' | tr ',' ' ')
    # shellcheck disable=SC2046,SC2086 # file names of this repository, and options
    deadnix --fail $words $(files)
}

# crun's install makes links to the program that the peers give another name. A link that leads
# nowhere ends the build: nixpkgs' stdenv looks for them.
links() {
    local name=$1 out=$scratch/$1 dangling
    mkdir -p "$out/bin"
    touch "$out/bin/crun"
    ln -s crun "$out/bin/krun"
    ln -s crun "$out/bin/crun-wasm"
    text --expr "(import ./$here/outputs.nix).packages.x86_64-linux.$name.postInstall" |
        out=$out bash -eu
    dangling=$(find "$out" -xtype l)
    [ -z "$dangling" ] && [ -f "$out/bin/$name" ] && return
    echo "$name: dangling: $dangling; it has $(ls "$out/bin")"
    return 1
}

# QEMU itself, with the command line of the sweep's machine and what --memory and --cores append.
sizes() {
    local line said
    line=$(text "$here/nixos.nix" --attr sweep-command)
    said=$(printf '\001cinfo memory_size_summary\ninfo cpus\nquit\n' |
        QEMU_OPTS='-m 128 -smp 4' timeout 60 bash -c "qemu-system-x86_64 -accel tcg -S $line" 2>&1)
    grep --text --quiet 'base memory: 134217728' <<<"$said" &&
        [ "$(grep --text --count 'CPU #' <<<"$said")" = 4 ] && return
    echo "qemu-system-x86_64 $line: $said"
    return 1
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
expect 'deadnix would change nothing, as treefmt calls it' finds_nothing
if command -v nixfmt >/dev/null; then
    # shellcheck disable=SC2046 # file names of this repository
    expect 'nixfmt would change nothing' nixfmt --check $(files)
else
    skip nixfmt 'there is no nixfmt'
fi
expect 'the stand-in for lib does what it should' evaluate "$here/lib-test.nix" --arg real false
expect 'the sources of the packages are a whole workspace' sources
expect 'the flake evaluates, with every check and package' flake
if [ -n "${NIXPKGS_LIB:-}" ]; then
    expect 'the real lib does what its stand-in does' \
        evaluate "$here/lib-test.nix" --arg real true
    expect 'all of it evaluates with the real lib' evaluate "$here/everything.nix"
else
    skip nixpkgs-lib 'NIXPKGS_LIB does not name it'
fi
expect 'it comes to what is meant, with the defaults of NixOS' \
    evaluate "$here/nixos.nix" --attr all
for name in crun-wamr crun-wasmedge crun-wasmer crun-wasmtime; do
    expect "no link of $name leads nowhere" links "$name"
done
expect 'the shim is a handler beside that of the runtime' evaluate "$here/shim.nix"
names=$(evaluate --expr "builtins.attrNames (import ./$here/refused.nix)")
for name in $(tr -d '[]"' <<<"$names" | tr ',' ' '); do
    expect "refused: $name" refused "$name"
done
expect 'docs/options.md is up to date: make nix-options' diff docs/options.md <(options)
expect 'the testScripts use what the driver documents' scripts
expect 'QEMU takes the sizes of a sweep' sizes
expect 'the sweep script is a script' bash -n nix/sweep.sh
if [ "$failed" = 0 ]; then word=ok; else word=FAILED; fi
echo "test result: $word. $passed passed; $failed failed (nix)"
[ "$failed" = 0 ]

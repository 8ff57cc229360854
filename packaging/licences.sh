#!/usr/bin/env bash
# licences.sh: licences, sources and versions of all crates against deny.toml, by Cargo.lock alone.
# CARGO_DENY is the program cargo-deny. ADVISORIES=1 asks for known vulnerabilities too, which needs
# the database that deny.toml names.
#
# Exit status: 0 all is well, 1 a crate breaks a rule, 4 not checked: the tool or the database is
# missing.
set -eu -o pipefail
unset CDPATH
cd "$(dirname "${BASH_SOURCE[0]}")/.."
deny=${CARGO_DENY:-cargo-deny}

if ! "$deny" --version; then
    echo "not checked: $deny does not run" >&2
    echo 'hint: cargo install cargo-deny --locked, or name it by CARGO_DENY' >&2
    exit 4
fi
"$deny" --locked --offline check --hide-inclusion-graph licenses bans sources || exit 1
[ "${ADVISORIES:-0}" = 1 ] || exit 0
if ! "$deny" --locked fetch db; then
    echo 'not checked: the database of advisories cannot be had' >&2
    echo 'hint: deny.toml names its address under db-urls' >&2
    exit 4
fi
"$deny" --locked check --disable-fetch --hide-inclusion-graph advisories || exit 1

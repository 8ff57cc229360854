#!/usr/bin/env bash
# flake.sh COMMAND...: `nix flake COMMAND` on a copy of the tracked files, with nix/stubs in the
# place of nixpkgs. Nothing is fetched, built or left behind.
set -eu -o pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
scratch=$(mktemp -d)
clean() {
    chmod -R u+w "$scratch"
    rm -rf "$scratch"
}
trap clean EXIT

# As git has them, and what is new: a flake of `path:` would take target/ along.
mkdir "$scratch/source"
cd "$root"
git ls-files -z --cached --others --exclude-standard |
    while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done |
    tar --create --null --no-recursion --files-from=- | tar --extract --directory "$scratch/source"
lock=$(sha256sum "$scratch/source/flake.lock")

export HOME=$scratch XDG_CACHE_HOME=$scratch/cache NIX_CONF_DIR=$scratch
cat >"$scratch/nix.conf" <<END
experimental-features = nix-command flakes
build-users-group =
substituters =
flake-registry =
END
cd "$scratch/source"
code=0
nix flake "$@" --store "$scratch/store" --offline --no-write-lock-file \
    --override-input nixpkgs "path:$scratch/source/nix/stubs/nixpkgs" \
    --override-input treefmt-nix "path:$scratch/source/nix/stubs/treefmt-nix" \
    "path:$scratch/source" || code=$?
if [ "$lock" != "$(sha256sum "$scratch/source/flake.lock")" ]; then
    echo 'flake.lock was written' >&2
    code=1
fi
exit $code

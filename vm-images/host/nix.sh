#!/usr/bin/env bash
# Prints a folder with a nix and a nix-instantiate that know what nixpkgs' own lib calls (Nix 2.14):
# the machine's, where they do, else those of Debian trixie, which are unpacked into the user's
# cache the first time: nothing is installed.
set -eu -o pipefail

knows() {
    local said
    said=$("$1/nix-instantiate" --store dummy:// --eval --expr 'builtins ? readFileType' 2>/dev/null)
    [ "$said" = true ]
}

own=$(dirname "$(command -v nix-instantiate || echo /nowhere/nix)")
if knows "$own"; then
    echo "$own"
    exit
fi
# A change of what is unpacked below is another folder.
place=${XDG_CACHE_HOME:-$HOME/.cache}/wamr-lab/nix-trixie-1
if knows "$place/bin"; then
    echo "$place/bin"
    exit
fi
keys=/usr/share/keyrings/debian-archive-keyring.gpg
if ! [ -e $keys ] || ! command -v apt-get dpkg-deb >/dev/null; then
    echo "nix.sh: there is no Nix of 2.14 or newer, and no apt-get with Debian's keys for one" >&2
    exit 1
fi
echo "nix.sh: Debian trixie's Nix is unpacked into $place, once" >&2
mkdir -p "$(dirname "$place")"
new=$(mktemp --directory "$place.XXXXXX") apt=$(mktemp --directory)
trap 'rm -rf "$new" "$apt"' EXIT
# apt of another machine, which has nothing yet: it needs no root, and this one's is not touched.
mkdir -p "$apt"/{lists,archives}/partial
touch "$apt/status"
echo "deb [signed-by=$keys] ${WAMR_LAB_DEBIAN_MIRROR:-http://deb.debian.org/debian} trixie main" \
    >"$apt/sources.list"
get() {
    apt-get -qq -o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State="$apt" -o Dir::State::Lists="$apt/lists" -o Dir::State::status="$apt/status" \
        -o Dir::Cache="$apt" -o Dir::Cache::Archives="$apt/archives" -o APT::Sandbox::User= \
        -o APT::Install-Recommends=false "$@" </dev/null >&2
}
get update
get --yes --download-only install nix-bin
for package in "$apt"/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$package" |
        tar --extract --directory "$new" --exclude='./usr/share' --exclude='./etc'
done
mkdir "$new/bin"
for program in nix nix-instantiate; do
    # By trixie's own loader and libraries: this machine's C library may be older.
    cat >"$new/bin/$program" <<END
#!/bin/sh
root=\$(dirname "\$0")/../usr
exec "\$root"/lib64/ld-linux-*.so.* --library-path "\$(echo "\$root"/lib/*-linux-gnu)" \\
    --argv0 $program "\$root/bin/nix" "\$@"
END
    chmod +x "$new/bin/$program"
done
rm -rf "$place"
chmod 755 "$new"
mv "$new" "$place"
knows "$place/bin" || { echo "nix.sh: what was unpacked into $place does not run" >&2; exit 1; }
echo "$place/bin"

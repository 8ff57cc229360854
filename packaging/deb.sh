#!/usr/bin/env bash
# deb.sh OUT: makes the Debian package of the runtime in the directory OUT, from PROGRAMS and MANUAL
# as for install.sh. CARGO_DEB is the program cargo-deb; what the package says stands in Cargo.toml.
set -eu -o pipefail
unset CDPATH
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
out=$1
# Cargo.toml names the files by this place.
stage=$root/dist/deb/stage

rm -rf "$stage"
DESTDIR=$stage PREFIX=/usr SYSCONFDIR=/etc ZSH_FUNCTIONS=zsh/vendor-completions \
    "$here/install.sh" install
documents=$stage/usr/share/doc/wamr-crun
# Debian has its own name for an upstream's changelog, and wants one of the package beside it.
mv "$documents/CHANGELOG.md" "$documents/changelog"
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$root/Cargo.toml" | head -n 1)
date=$(cd "$root" && git log -1 --format=%aD 2>/dev/null || date -R -r "$root/CHANGELOG.md")
cat >"$documents/changelog.Debian" <<END
wamr-crun ($version-1) unstable; urgency=medium

  * Made from the sources by their own packaging; see changelog.gz.

 -- wamr-crun contributors <noreply@users.noreply.github.com>  $date
END
gzip -9n "$documents"/changelog* "$stage"/usr/share/man/man8/*.8
# Directories as Debian has them, whatever the mask of who builds.
find "$stage" -type d -exec chmod 755 {} +
"$CARGO_DEB" deb --manifest-path "$here/Cargo.toml" --no-build --no-strip --output "$out/"

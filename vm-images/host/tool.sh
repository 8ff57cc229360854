#!/bin/sh
# Installs a tool from crates.io with cargo, unless that version is there.
#
#   vm-images/host/tool.sh NAME VERSION [flags of cargo install]
set -eu
name=$1 version=$2
shift 2
case $(cargo install --list | sed -n "s/^$name v\\([^ :]*\\).*/\\1/p") in
"$version") exit ;;
esac
echo "$name $version: cargo installs it, once" >&2
exec cargo install "$name" --version "$version" --locked --quiet "$@"

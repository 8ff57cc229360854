#!/usr/bin/env bash
# install.sh install|uninstall: puts the runtime and what belongs to it in place, or removes it.
# It honours DESTDIR, PREFIX and SYSCONFDIR; PROGRAMS has the programs, MANUAL what wamr-manual
# wrote. With LAB=1 wamr-lab and wamr-report are installed as well.
set -eu -o pipefail
unset CDPATH
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
prefix=${PREFIX:-/usr/local}
etc=${SYSCONFDIR:-/etc}
destination=${DESTDIR:-}
share=$prefix/share
zsh=${ZSH_FUNCTIONS:-zsh/site-functions}

# Every file once: MODE SOURCE TARGET. Sources in packaging/ name their own place by @bindir@.
files() {
    echo "755 $PROGRAMS/wamr-crun $prefix/bin/wamr-crun"
    # It looks for wamr-crun beside itself.
    echo "755 $PROGRAMS/containerd-shim-wamr-crun-v1 $prefix/bin/containerd-shim-wamr-crun-v1"
    local program
    for program in wamr-runner wasmtime-runner wamr-compile; do
        echo "755 $PROGRAMS/$program $prefix/libexec/wamr-crun/$program"
    done
    echo "644 $here/containerd.toml $etc/containerd/conf.d/wamr-crun.toml"
    echo "644 $here/crio.conf $etc/crio/crio.conf.d/50-wamr-crun.conf"
    echo "644 $here/containerd-1.toml $share/wamr-crun/containerd-1.toml"
    echo "644 $here/runtimeclass.yaml $share/wamr-crun/runtimeclass.yaml"
    local document
    for document in README.md CHANGELOG.md SECURITY.md docs/annotations.md docs/clients.md \
        docs/engines.md docs/shim.md; do
        echo "644 $root/$document $share/doc/wamr-crun/${document##*/}"
    done
    third_party wamr-crun
    page wamr-crun 8
    completions wamr-crun
    # Nobody but containerd types its name, so it has no completions.
    page containerd-shim-wamr-crun-v1 8
    [ "${LAB:-0}" = 1 ] || return 0
    third_party wamr-lab
    for program in wamr-lab wamr-report; do
        echo "755 $PROGRAMS/$program $prefix/bin/$program"
        page "$program" 1
        completions "$program"
    done
}

third_party() {
    echo "644 $MANUAL/doc/$1/THIRD-PARTY.txt $share/doc/$1/THIRD-PARTY.txt"
}

page() {
    echo "644 $MANUAL/man/man$2/$1.$2 $share/man/man$2/$1.$2"
}

completions() {
    local file
    for file in "bash-completion/completions/$1" "fish/vendor_completions.d/$1.fish"; do
        echo "644 $MANUAL/$file $share/$file"
    done
    echo "644 $MANUAL/zsh/site-functions/_$1 $share/$zsh/_$1"
}

install_file() {
    local mode=$1 source=$2 target=$destination$3
    case $source in
    "$here"/*)
        install -D -m "$mode" /dev/null "$target"
        sed "s|@bindir@|$prefix/bin|g" "$source" >"$target"
        ;;
    *) install -D -m "$mode" "$source" "$target" ;;
    esac
}

# The file, and its directory if that is ours and empty.
uninstall_file() {
    local target=$destination$3
    rm -f "$target"
    case $target in
    */wamr-crun/* | */wamr-lab/*)
        rmdir --ignore-fail-on-non-empty "${target%/*}" 2>/dev/null || true
        ;;
    esac
}

case ${1:-} in
install | uninstall) while read -r mode source target; do
    "$1_file" "$mode" "$source" "$target"
done < <(files) ;;
*)
    echo "usage: $0 install|uninstall" >&2
    exit 2
    ;;
esac

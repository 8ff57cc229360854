#!/usr/bin/env bash
# Prepares this machine to build, test and run the project: packages of the distribution, the Rust
# toolchain of rust-toolchain.toml, Go. Says what it does; does nothing where nothing is missing.
set -eu -o pipefail
unset CDPATH
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
export PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin:/usr/local/go/bin:/usr/local/sbin:/usr/sbin"
export DEBIAN_FRONTEND=noninteractive

# The oldest Go that fetches newer ones by itself, and the one fetched where Debian's is older.
go_minimum=1.21
go_wanted=1.26.8

begun=$EPOCHREALTIME
step() { printf 'setup: %6.1f s  %s\n' "$(elapsed_s)" "$*" >&2; }
elapsed_s() { awk -v a="$begun" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }'; }
stop() {
    printf 'setup: error: %s\n' "$1" >&2
    printf '\nhint: %s\n' "$2" >&2
    exit 1
}
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# Prints the packages named on the command line that are not installed.
missing_packages() {
    local installed
    installed=$(dpkg-query -W -f '${db:Status-Abbrev}${Package} \n' "$@" 2>/dev/null |
        sed -n 's/^ii //p' || true)
    local name
    for name in "$@"; do
        case " $(tr '\n' ' ' <<<"$installed")" in *" $name "*) ;; *) echo "$name" ;; esac
    done
}

# apt-get with one more try: mirrors time out, and another apt may hold the lock.
apt_get() {
    local options=(-q -y -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 --no-install-recommends)
    apt-get "${options[@]}" "$@" </dev/null >&2 && return
    step "apt-get $1 failed, once more in 10 s"
    sleep 10
    apt-get "${options[@]}" "$@" </dev/null >&2
}

install_packages() {
    [ "$(id -u)" = 0 ] || stop "packages are missing: $*" "as root: apt-get install $*"
    step "installing $*"
    apt_get update || stop "apt-get update failed" "see the lines above; is there a network?"
    apt_get install "$@" || stop "apt-get install $* failed" "see the lines above"
}

setup_packages() {
    command -v dpkg-query >/dev/null ||
        stop "this is neither Debian nor Ubuntu" \
            "install what $here/packages.txt lists, then use make build; or use Nix: nix develop"
    local wanted missing
    mapfile -t wanted < <(sed 's/#.*//; s/ *$//; /^$/d' "$here/packages.txt")
    mapfile -t missing < <(missing_packages "${wanted[@]}")
    [ "${#missing[@]}" = 0 ] || install_packages "${missing[@]}"
    step "packages: all ${#wanted[@]} installed"
}

toolchain_complete() {
    local program
    for program in rustc cargo rustfmt cargo-clippy; do
        rustup which --toolchain "$1" "$program" >/dev/null 2>&1 || return 1
    done
}

# Without a download server: an installed toolchain of the very same release serves as well.
link_same_release() {
    local name directory target="${RUSTUP_HOME:-$HOME/.rustup}/toolchains"
    while read -r name _; do
        directory=$(dirname "$(dirname "$(rustup which --toolchain "$name" rustc 2>/dev/null)")")
        case $("$directory/bin/rustc" --version 2>/dev/null) in "rustc $1 "*) ;; *) continue ;; esac
        toolchain_complete "$name" || continue
        ln -s "$directory" "$target/$1-${name#*-}"
        step "toolchain $1: linked to $name, which is the same release"
        return
    done < <(rustup toolchain list)
    return 1
}

setup_rust() {
    local channel components
    channel=$(sed -n 's/^channel *= *"\(.*\)"/\1/p' "$root/rust-toolchain.toml")
    components=$(sed -n 's/^components *= *\[\(.*\)\]/\1/p' "$root/rust-toolchain.toml")
    if ! command -v rustup >/dev/null && ! command -v cargo >/dev/null; then
        [ "$(id -u)" != 0 ] || apt_get update || true
        apt-cache policy rustup 2>/dev/null | grep -q 'Candidate: [0-9]' ||
            stop "there is no cargo, and this release has no package rustup" \
                "install rustup as https://rustup.rs says, then run this again"
        install_packages rustup
    fi
    if ! command -v rustup >/dev/null; then
        local version
        version=$(cd / && rustc --version | cut -d ' ' -f 2)
        at_least "$version" "$channel" ||
            stop "rustc is $version, $channel or newer is needed" \
                "install rustup: apt-get install rustup, or as https://rustup.rs says"
        step "rust: $version, not managed by rustup"
        return
    fi
    if ! toolchain_complete "$channel"; then
        step "installing the Rust toolchain $channel"
        rustup toolchain install "$channel" --no-self-update --profile minimal \
            --component "${components//[\" ]/}" >&2 || link_same_release "$channel" ||
            stop "the Rust toolchain $channel cannot be installed" \
                "run: rustup toolchain install $channel -c rustfmt -c clippy"
    fi
    step "rust: $channel with rustfmt and clippy"
}

go_version() {
    command -v go >/dev/null || return 0
    (cd / && GOTOOLCHAIN=local go version) | sed -n 's/^go version go\([0-9.]*\).*/\1/p'
}

# Go's own releases are modules too: an old go can fetch one, checked by the checksum database.
fetch_go() {
    local module target=/usr/local/lib/wamr-go directory
    module="golang.org/toolchain@v0.0.1-go$go_wanted.linux-$(dpkg --print-architecture)"
    step "fetching Go $go_wanted through the Go module proxy into $target"
    local answer
    answer=$(cd /; go mod download -json "$module" 2>&1) || true
    directory=$(sed -n 's/.*"Dir": "\(.*\)".*/\1/p' <<<"$answer")
    [ -d "$directory" ] ||
        stop "go mod download $module: $answer" "install Go $go_minimum or newer by hand"
    rm -rf "$target"
    cp -r "$directory" "$target"
    chmod -R u+w "$target"
    chmod +x "$target"/bin/* "$target"/pkg/tool/*/*
    ln -sf "$target/bin/go" /usr/local/bin/go
    hash -r
}

setup_go() {
    [ -n "$(go_version)" ] || install_packages golang-go
    at_least "$(go_version)" "$go_minimum" || {
        [ "$(id -u)" = 0 ] || stop "Go is $(go_version)" "install Go $go_minimum or newer"
        fetch_go
    }
    step "go: $(go_version)"
}

setup_packages
setup_rust
setup_go

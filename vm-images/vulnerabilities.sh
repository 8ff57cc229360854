#!/usr/bin/env bash
# vulnerabilities.sh [MODULE...]: known vulnerabilities in what the node's Go programs are made of,
# by govulncheck. MODULE is a folder in stack/; all of them unless given.
#
# The database comes as a Go module from GOPROXY, like the sources themselves, so that no other host
# is needed. VULNDB names another one: https://vuln.go.dev, or file:///DIR. SCAN is module, package
# or symbol.
#
# Exit status: 0 nothing known, 3 something found, 4 not checked: tool, database or sources could
# not be had.
set -eu -o pipefail
unset CDPATH
stack=$(cd "$(dirname "${BASH_SOURCE[0]}")/stack" && pwd)
govulncheck=golang.org/x/vuln/cmd/govulncheck@v1.9.0
scan=${SCAN:-package}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

not_checked() {
    echo "not checked: $1" >&2
    echo "hint: GOPROXY must serve it; VULNDB=file:///DIR names a copy of the database" >&2
    exit 4
}

# The module's advisories, indexed by its own tool; prints the URL.
database() {
    local module=golang.org/x/vulndb version directory
    version=$(go list -m -f '{{.Version}}' "$module@latest") || return
    directory=$(cd "$scratch" && go mod download -json "$module@$version" |
        sed -n 's/^\t"Dir": "\(.*\)",$/\1/p') || return
    [ -n "$directory" ] || return
    go run "$module/cmd/indexdb@$version" -vulns "$directory/data/osv" -out "$scratch/db" || return
    echo "database: $module $version" >&2
    echo "file://$scratch/db"
}

GOBIN=$scratch go install "$govulncheck" || not_checked "$govulncheck cannot be built"
url=${VULNDB:-$(database)} || not_checked 'the database golang.org/x/vulndb cannot be had'
[ $# -gt 0 ] || set -- $(cd "$stack" && for file in */go.mod; do echo "${file%/go.mod}"; done)
found=0
for module; do
    echo "== $module"
    cd "$stack/$module"
    status=0
    # The pattern `tool`: the programs that go.mod names.
    "$scratch/govulncheck" -db "$url" -scan "$scan" tool || status=$?
    case $status in
    0) ;;
    3) found=3 ;;
    *) not_checked "$module: govulncheck ended with status $status" ;;
    esac
done
exit $found

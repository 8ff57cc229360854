# Arguments to an experiment, the experiment to the test driver, the run to a report.
usage() {
    cat <<'END'
wamr-sweep [--pods N]... [--series RUNTIME:WORKLOAD]... [--repetitions N] [--seed N]
           [--memory MIB] [--cores N] [--out DIR]

Measures each series at each density in a virtual machine, and writes DIR/run and DIR/report.
Default: 10 pods, wamr-crun:microservice-wasm and runc-python:microservice-python, once.
The machine has 24576 MiB and 8 processors unless --memory and --cores say otherwise.
END
}

pods=() series=() repetitions=1 seed=20260102 out='' options=()
while [ $# -gt 0 ]; do
    case $1 in
    --help | -h) usage && exit ;;
    --pods | --series | --repetitions | --seed | --memory | --cores | --out)
        [ $# -gt 1 ] || { echo "wamr-sweep: $1 wants a value" >&2 && exit 2; }
        ;;
    *) { echo "wamr-sweep: what is $1?" && usage; } >&2 && exit 2 ;;
    esac
    case $1 in
    --pods) pods+=("$2") ;;
    --series) series+=("$2") ;;
    --repetitions) repetitions=$2 ;;
    --seed) seed=$2 ;;
    --memory) options+=("-m" "$2") ;;
    --cores) options+=("-smp" "$2") ;;
    --out) out=$2 ;;
    esac
    shift 2
done
[ ${#pods[@]} -gt 0 ] || pods=(10)
[ ${#series[@]} -gt 0 ] || series=(wamr-crun:microservice-wasm runc-python:microservice-python)
out=${out:-runs/$(date +%Y%m%d-%H%M%S)-sweep}
mkdir -p "$out"
out=$(realpath "$out")

experiment() {
    local densities
    densities=$(printf '%s, ' "${pods[@]}")
    cat <<END
title = "Pods of ${#series[@]} systems on a NixOS node"
provider = "vm"
profile = "small"
control_plane = "unthrottled"
seed = $seed
repetitions = $repetitions
densities = [${densities%, }]
END
    local one
    for one in "${series[@]}"; do
        printf '\n[[series]]\nruntime = "%s"\nworkload = "%s"\n' "${one%%:*}" "${one#*:}"
    done
    cat <<'END'

[timing]
settle_window_s = 7
settle_max_s = 120
settle_slope_kib_per_s = 256
settle_range_kib = 8192
plateau_samples = 30
metrics_scrapes = 1
pod_deadline_s = 900
END
}

experiment >"$out/experiment.toml"
export WAMR_SWEEP=$out/experiment.toml
# NixOS' own script for the machine appends these; the last word counts.
export QEMU_OPTS="${QEMU_OPTS:-} ${options[*]}"
# The driver would keep the machine's disk and store in $XDG_RUNTIME_DIR: a few gigabytes, where a
# session has a small file system in memory. Its sockets' names must be short.
state=$(mktemp --directory "${WAMR_SWEEP_STATE:-/var/tmp}/wamr-sweep.XXXXXX")
trap 'rm -rf "$state"' EXIT
XDG_RUNTIME_DIR=$state TMPDIR=$state nixos-test-driver -o "$out"
wamr-report build "$out/run" --out "$out/report"
echo "$out/report/index.html"

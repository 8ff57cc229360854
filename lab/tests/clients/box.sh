#!/usr/bin/env bash
# A machine in a box: namespaces of its own over a Debian root file system, all state in memory.
#
#   box.sh boot NAME ROOTFS SCRATCH PROGRAMS SHARE   until killed; everything in it dies with it
#   box.sh run NAME PID COMMAND…                     a command in the box whose first process is PID
#   box.sh remove NAME                               the control groups that it leaves
#
# SCRATCH is an empty directory, PROGRAMS appears as /opt/wamr, SHARE as /share.
set -eu
cgroups=/sys/fs/cgroup

# The hierarchies of the host: all of v1, or the one of v2. A v1 host's `unified` is left out.
hierarchies() {
    if [ "$(stat -f -c %T $cgroups)" = cgroup2fs ]; then
        echo $cgroups
        return
    fi
    local directory
    for directory in "$cgroups"/*/; do
        [ ! -L "${directory%/}" ] && [ -e "$directory/tasks" ] && echo "${directory%/}"
    done
}

join_group() {
    local group file
    while read -r group; do
        mkdir -p "$group/$1"
        for file in cpuset.cpus cpuset.mems; do
            [ ! -e "$group/tasks" ] || [ ! -e "$group/$file" ] ||
                cat "$group/$file" >"$group/$1/$file"
        done
        echo $$ >"$group/$1/cgroup.procs"
    done < <(hierarchies)
}

boot() {
    local name=$1
    shift
    join_group "$name"
    exec setpriv --pdeathsig KILL unshare --mount --pid --net --uts --ipc --cgroup --fork \
        --kill-child=KILL --propagation private "$0" fill "$@"
}

# In the namespaces: mounts, and the new root.
fill() {
    local rootfs=$1 scratch=$2 programs=$3 share=$4 group directory device
    mount -t tmpfs -o mode=755 box "$scratch"
    mkdir "$scratch"/{upper,work,root}
    mount -t overlay box "$scratch/root" \
        -o "lowerdir=$rootfs,upperdir=$scratch/upper,workdir=$scratch/work"
    cd "$scratch/root"
    mount -t proc proc proc
    mount -t sysfs sysfs sys
    mount -t tmpfs -o mode=755 cgroup sys/fs/cgroup
    while read -r group; do
        directory=${group##*/}
        if [ "$group" = $cgroups ]; then
            mount -t cgroup2 cgroup sys/fs/cgroup
        else
            mkdir "sys/fs/cgroup/$directory"
            case $directory in systemd) set -- none,name=systemd ;; *) set -- "$directory" ;; esac
            mount -t cgroup -o "$1" cgroup "sys/fs/cgroup/$directory"
        fi
    done < <(hierarchies)
    mount -t tmpfs -o mode=755 dev dev
    for device in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0 fuse:10:229; do
        IFS=: read -r directory major minor <<<"$device"
        mknod -m 666 "dev/$directory" c "$major" "$minor"
    done
    mkdir dev/pts dev/shm
    mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts dev/pts
    ln -s pts/ptmx dev/ptmx
    ln -s /proc/self/fd dev/fd
    for directory in dev/shm run tmp var/lib/containerd var/lib/docker var/lib/containers; do
        mkdir -p "$directory"
        mount -t tmpfs -o mode=755 state "$directory"
    done
    chmod 1777 tmp dev/shm
    mkdir -p opt/wamr share old
    mount --bind "$programs" opt/wamr
    mount --bind "$share" share
    hostname box
    ip link set lo up
    pivot_root . old
    cd /
    umount -l /old
    mount --make-rshared /
    # PID 1 reaps; a marker tells that all is there.
    exec chroot / /bin/bash -c 'touch /run/booted; while :; do sleep 3600 & wait $!; done' \
        </dev/null >/dev/null 2>&1
}

run() {
    local name=$1 pid=$2
    shift 2
    join_group "$name"
    exec nsenter --target "$pid" --mount --pid --net --uts --ipc --cgroup --root --wd -- \
        env -i HOME=/root TERM=xterm LC_ALL=C.UTF-8 \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

remove() {
    local group attempt
    while read -r group; do
        for attempt in 1 2 3 4 5 6 7 8 9 10; do
            [ -d "$group/$1" ] || break
            find "$group/$1" -depth -type d -exec rmdir {} + 2>/dev/null && break
            sleep 0.2
        done
        [ ! -d "$group/$1" ] || { echo "still there: $group/$1 ($attempt attempts)" >&2; exit 1; }
    done < <(hierarchies)
}

action=$1
shift
"$action" "$@"

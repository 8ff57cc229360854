"""The runtime's privileged tests on a machine with cgroup v2 and systemd.

They run once with control groups that the runtime makes itself, and once with scopes of systemd.
SUITE is a directory that nixos-tests/suite.sh made; the logs come back as cgroupfs.log and
systemd.log. Nothing of Kubernetes is needed: `--bare` of the lab's driver.
"""

import os

# For the tests with one manager. An emulated machine that shares its processors takes minutes.
LIMIT = 1200
PLACE = "/var/lib/suite"

start_all()

with subtest("the machine has cgroup v2 and systemd"):
    machine.succeed("test -e /sys/fs/cgroup/cgroup.controllers")
    machine.wait_for_unit("dbus.socket")

with subtest("the tests are there"):
    machine.copy_from_host(os.environ["SUITE"], PLACE)
    machine.succeed(
        f"for program in newuidmap newgidmap; do [ -e /usr/bin/$program ] || "
        f"install --mode=4755 {PLACE}/$program /usr/bin/$program; done"
    )

failed = []
for manager in ["cgroupfs", "systemd"]:
    given = {
        "PATH": f"{PLACE}/bin:$PATH",
        "WAMR_TEST_RUNTIME": f"{PLACE}/bin/wamr-crun",
        "WAMR_RUNNER": f"{PLACE}/bin/wamr-runner",
        "WASMTIME_RUNNER": f"{PLACE}/bin/wasmtime-runner",
        "WAMR_COMPILE": f"{PLACE}/bin/wamr-compile",
        "WAMR_TEST_BUSYBOX": f"{PLACE}/bin/busybox",
        "WAMR_TEST_GUESTS": f"{PLACE}/guests",
        "WAMR_TEST_CGROUP_MANAGER": manager,
        "WAMR_TEST_PATIENCE": "12",
    }
    words = " ".join(f"{name}={value}" for name, value in given.items())
    with subtest(f"the tests come to their end with {manager}"):
        command = f"cd {PLACE} && {words} ./privileged --show-output"
        log = f"{PLACE}/{manager}.log"
        status, _ = machine.execute(f"{command} >{log} 2>&1", timeout=LIMIT)
        machine.copy_from_machine(log)
        if status != 0:
            failed.append(f"{manager} (status {status})")

assert not failed, f"see the logs of {', '.join(failed)}"

machine.shutdown()

"""The smoke scenario: a node boots, runs ten Wasm and ten Python pods, and is measured.

It uses nothing but documented calls of the NixOS test driver, so the same text runs against a NixOS
machine and, by nixos-tests/driver, against the lab's Debian machine. What it expects of a machine:
units of the names below, kubectl with a KUBECONFIG, ctr, wamr-lab and wamr-report on PATH.
"""

import json
import re

# Emulation may be fifty times slower than a processor.
PATIENCE = 1500

start_all()

with subtest("the daemons run"):
    for unit in ["containerd", "etcd", "kube-apiserver", "kubelet"]:
        machine.wait_for_unit(f"{unit}.service", timeout=PATIENCE)
    machine.wait_for_open_port(6443, timeout=PATIENCE)

with subtest("the node takes pods"):
    machine.wait_until_succeeds(
        "kubectl wait --for=condition=Ready node --all --timeout=20s", timeout=PATIENCE
    )
    for image in ["microservice-wasm", "microservice-python"]:
        machine.wait_until_succeeds(
            f"ctr --namespace k8s.io images list --quiet | grep {image}", timeout=PATIENCE
        )

with subtest("the handler and its RuntimeClass are there"):
    machine.wait_until_succeeds("kubectl get runtimeclass wamr-crun", timeout=PATIENCE)
    handler = machine.succeed("kubectl get runtimeclass wamr-crun -o jsonpath={.handler}")
    assert handler.strip() == "wamr-crun", handler
    handlers = machine.succeed(
        "kubectl get nodes -o jsonpath='{.items[0].status.runtimeHandlers[*].name}'"
    )
    assert "wamr-crun" in handlers.split(), f"containerd offers the kubelet: {handlers}"
    machine.fail("kubectl get runtimeclass no-such-runtime")

with subtest("ten Wasm and ten Python pods are measured"):
    machine.succeed("free")
    status, output = machine.execute(
        "wamr-lab run vm --here --out /var/lib/smoke/run 2>&1", timeout=PATIENCE
    )
    # 4: complete, but the machine was disturbed, which an emulated one always may be.
    assert status in (0, 4), f"wamr-lab ended with {status}: {output}"

with subtest("free and metrics-server were read, and every pod started"):
    for cell in ["wamr-crun-microservice-wasm", "runc-python-microservice-python"]:
        files = f"/var/lib/smoke/run/cells/*-{cell}-n10-r1"
        for source in ["meminfo", "metrics-server-node", "metrics-server-pod"]:
            machine.succeed(f"grep --quiet '\"source\":\"{source}\"' {files}/samples.ndjson")
        stamps = machine.succeed(f"grep --count first_instruction_ns {files}/pods.ndjson")
        assert int(stamps) == 10, f"{cell}: {stamps} start stamps"

with subtest("every container was where the kubelet's cgroup driver puts it"):
    name = machine.succeed("kubectl get nodes -o jsonpath='{.items[0].metadata.name}'").strip()
    config = machine.succeed(f"kubectl get --raw /api/v1/nodes/{name}/proxy/configz")
    driver = json.loads(config)["kubeletconfig"]["cgroupDriver"]
    places = {
        "systemd": r"/kubepods\.slice/(.+\.slice/)+cri-containerd-[0-9a-f]{64}\.scope",
        "cgroupfs": r"/kubepods/(.+/)?pod[0-9a-f-]{36}/[0-9a-f]{64}",
    }
    lines = machine.succeed("cat /var/lib/smoke/run/cells/*/pods.ndjson").splitlines()
    groups = [json.loads(line)["cgroup"] for line in lines]
    strays = [group for group in groups if not re.fullmatch(places[driver], group)]
    assert len(groups) == 20 and not strays, f"{driver}, but of {len(groups)}: {strays}"
    print(f"{len(groups)} containers, control groups by {driver}: {groups[0]}")

with subtest("the run and its report leave the machine"):
    machine.succeed("wamr-report verify /var/lib/smoke/run")
    machine.succeed("wamr-report build /var/lib/smoke/run --out /var/lib/smoke/report")
    machine.copy_from_machine("/var/lib/smoke/run")
    machine.copy_from_machine("/var/lib/smoke/report")

machine.shutdown()

"""A sweep: the machine measures the experiment whose file WAMR_SWEEP names, and hands the run over.

A measurement is no build, whose result would be kept for good: `nix run .#sweep` has the driver run
this outside of Nix' sandbox, as often as wanted.
"""

import os

# Long enough for a density of 500 with the slowest peer; no limit of performance.
PATIENCE = 20000

start_all()

with subtest("the node takes pods"):
    machine.wait_for_unit("kubelet.service", timeout=900)
    machine.wait_until_succeeds(
        "kubectl wait --for=condition=Ready node --all --timeout=20s", timeout=900
    )
    machine.wait_until_succeeds("kubectl get runtimeclass wamr-crun", timeout=300)

with subtest("the experiment is measured"):
    machine.copy_from_host(os.environ["WAMR_SWEEP"], "/var/lib/sweep/experiment.toml")
    status, output = machine.execute(
        "wamr-lab run /var/lib/sweep/experiment.toml --here --out /var/lib/sweep/run 2>&1",
        timeout=PATIENCE,
    )
    print(output)
    # 3 and 4: complete, and the report says which cells may not be used.
    assert status in (0, 3, 4), f"wamr-lab ended with {status}"

with subtest("the run leaves the machine"):
    machine.succeed("wamr-report verify /var/lib/sweep/run")
    machine.copy_from_machine("/var/lib/sweep/run")

machine.shutdown()

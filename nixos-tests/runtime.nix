# The runtime's tests on a kernel of their own, with cgroup v2 and systemd. Those of Wasm compile
# their guests with Debian's WASI and are skipped here; the smoke scenario runs Wasm.
{ runtimeTests, wamr-crun }:
{ lib, pkgs, ... }:
{
  name = "wamr-crun-privileged";
  globalTimeout = 3600;
  nodes.machine = {
    environment.systemPackages = [
      pkgs.procps
      pkgs.util-linux
    ];
    virtualisation = {
      cores = 2;
      memorySize = 4096;
    };
  };
  testScript = ''
    machine.wait_for_unit("multi-user.target")
    machine.succeed(
        "WAMR_TEST_BUSYBOX=${pkgs.pkgsStatic.busybox}/bin/busybox"
        " WAMR_TEST_RUNTIME=${lib.getExe wamr-crun}"
        " ${lib.getExe runtimeTests} >&2",
        timeout=3000,
    )
  '';
}

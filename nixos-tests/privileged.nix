# privileged.py on a NixOS machine: the runtime's own tests on a kernel of their own, with cgroup v2
# and systemd.
{ suite }:
{ pkgs, ... }:
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
      diskSize = 4096;
    };
  };
  # On Debian the variable comes from the Makefile.
  testScript = ''
    import os
    os.environ["SUITE"] = "${suite}"

  ''
  + builtins.readFile ./privileged.py;
}

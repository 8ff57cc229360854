# sweep.py on a NixOS machine with every runtime that can be had.
{ modules, tables }:
{ lib, ... }:
let
  there = lib.filterAttrs (_: row: !row ? absent) tables.runtimes;
in
{
  name = "wamr-lab-sweep";
  globalTimeout = 24 * 3600;
  nodes.machine = {
    imports = [ modules.node ];
    services.wamr-lab.node = {
      enable = true;
      runtimes = lib.attrNames there;
      workloads = lib.filter (name: tables.workloads ? ${name}) (
        lib.unique (lib.concatMap (row: row.workloads) (lib.attrValues there))
      );
    };
    virtualisation = {
      cores = 8;
      memorySize = 24576;
      diskSize = 40960;
      graphics = false;
      # Neither an overlay in memory nor the host's files are then part of a reading.
      writableStore = false;
      useNixStoreImage = true;
      # With it QEMU takes no other size than this, and --memory of the sweep would end it.
      qemu.enableSharedMemory = false;
    };
    # The driver's machines have a slow clock and copy the journal to a serial console, for tests
    # that come out the same under load; both would be in the figures. The last word counts.
    boot.kernelParams = lib.mkAfter [
      "transparent_hugepage=never"
      "clocksource=kvm-clock"
    ];
    services.journald.extraConfig = lib.mkAfter "ForwardToConsole=no";
  };
  testScript = builtins.readFile ./sweep.py;
}

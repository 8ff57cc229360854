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
      workloads = lib.unique (lib.concatMap (row: row.workloads) (lib.attrValues there));
    };
    virtualisation = {
      cores = 8;
      memorySize = 24576;
      diskSize = 40960;
      graphics = false;
      # Neither an overlay in memory nor the host's files are then part of a reading.
      writableStore = false;
      useNixStoreImage = true;
    };
    boot.kernelParams = [ "transparent_hugepage=never" ];
  };
  testScript = builtins.readFile ./sweep.py;
}

# The options of virtual machines that this repository sets.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  option = type: default: mkOption { inherit default type; };
in
{
  options.virtualisation = {
    cores = option types.ints.positive 1;
    memorySize = option types.ints.positive 1024;
    diskSize = option (types.nullOr types.ints.positive) 1024;
    graphics = option types.bool true;
    useNixStoreImage = option types.bool false;
    writableStore = option types.bool true;
    qemu.options = option (types.listOf types.str) [ ];
  };
}

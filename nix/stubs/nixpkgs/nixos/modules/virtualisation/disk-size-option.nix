# How large a machine's disk is, or `auto`: as large as what is on it and half a gigabyte.
# Source: nixpkgs nixos/modules/virtualisation/disk-size-option.nix, copy of mid-2026.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.virtualisation;
in
{
  options.virtualisation = {
    diskSizeAutoSupported = mkOption {
      type = types.bool;
      default = true;
    };
    diskSize = mkOption {
      type = types.either (types.enum [ "auto" ]) types.ints.positive;
      default = if cfg.diskSizeAutoSupported then "auto" else 1024;
    };
  };
  config.assertions = [
    {
      assertion = cfg.diskSize != "auto" || cfg.diskSizeAutoSupported;
      message = "virtualisation.diskSize = \"auto\" is not supported here.";
    }
  ];
}

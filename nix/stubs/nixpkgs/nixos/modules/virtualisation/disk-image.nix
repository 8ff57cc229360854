# A machine as a disk.
# Source: nixpkgs nixos/modules/virtualisation/disk-image.nix, copy of mid-2026.
{ config, pkgs, ... }:
{
  imports = [ ./disk-size-option.nix ];
  config.system.build.image = pkgs.runCommand "nixos-disk" {
    inherit (config.system.build) toplevel;
    inherit (config.virtualisation) diskSize;
  } "";
}

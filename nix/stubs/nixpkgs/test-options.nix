# The options of a NixOS test that this repository sets. Source: nixpkgs nixos/lib/testing.
{ lib, ... }:
let
  inherit (lib) mkOption types;
in
{
  options = {
    name = mkOption { type = types.str; };
    nodes = mkOption { type = types.attrsOf types.raw; };
    testScript = mkOption { type = types.str; };
    globalTimeout = mkOption {
      type = types.int;
      default = 3600;
    };
    defaults = mkOption {
      type = types.raw;
      default = { };
    };
  };
}

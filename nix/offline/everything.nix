# Every package, check and machine of the flake as the derivation that it would be.
let
  flake = import ./outputs.nix;
  inherit (flake.nixpkgs) lib;
  machine = name: value: {
    name = "machine-${name}";
    value = value.config.system.build.toplevel.drvPath;
  };
in
lib.mapAttrs (_: package: package.drvPath) (
  flake.packages.x86_64-linux // flake.checks.x86_64-linux
)
// lib.mapAttrs' machine flake.nixosConfigurations

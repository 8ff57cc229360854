# The testScripts of the machines that tests and sweeps boot, as NixOS' driver would get them.
let
  flake = import ./outputs.nix;
  inherit (flake.nixpkgs) lib legacyPackages;
  tests = {
    inherit (flake.checks.x86_64-linux) privileged smoke;
    sweep = legacyPackages.x86_64-linux.testers.runNixOSTest (
      import ../../nixos-tests/sweep.nix {
        modules = flake.nixosModules;
        tables = import ../tables.nix { inherit lib; };
      }
    );
  };
in
lib.mapAttrs (_: test: test.config.testScript) tests

# The flake's outputs with nix/stubs for nixpkgs and treefmt-nix, without the flake's machinery.
# NIXPKGS_LIB names a folder with nixpkgs' real `lib`, where there is one.
let
  real = builtins.getEnv "NIXPKGS_LIB";
  nixpkgs = import ../stubs/nixpkgs (if real == "" then { } else { lib = import (/. + real); }) // {
    outPath = toString ../stubs/nixpkgs;
  };
  treefmt-nix = (import ../stubs/treefmt-nix/flake.nix).outputs { };
  self = (import ../../flake.nix).outputs { inherit nixpkgs self treefmt-nix; } // {
    inherit nixpkgs treefmt-nix;
    packagesFor =
      pkgs:
      import ../packages.nix {
        inherit pkgs;
        modules = self.nixosModules;
        tables = import ../tables.nix { inherit (nixpkgs) lib; };
      };
    outPath = toString ../..;
  };
in
self

# The flake's outputs with nix/stubs for nixpkgs and treefmt-nix, without the flake's machinery.
# NIXPKGS_LIB names a folder with nixpkgs' real `lib`, where there is one.
let
  real = builtins.getEnv "NIXPKGS_LIB";
  nixpkgs = import ../stubs/nixpkgs (if real == "" then { } else { lib = import (/. + real); }) // {
    outPath = toString ../stubs/nixpkgs;
  };
  self =
    (import ../../flake.nix).outputs {
      inherit nixpkgs self;
      treefmt-nix = (import ../stubs/treefmt-nix/flake.nix).outputs { };
    }
    // {
      inherit nixpkgs;
      packagesFor = _: self.packages.x86_64-linux;
      outPath = toString ../..;
    };
in
self

# nixpkgs, as far as this repository uses it; `lib` may be the real one.
{
  lib ? import ./lib,
}:
let
  packagesOf =
    system:
    import ./pkgs.nix {
      lib = extended;
      inherit system;
    };
  extended = lib // {
    nixosSystem =
      {
        modules,
        specialArgs ? { },
      }:
      lib.evalModules {
        class = "nixos";
        modules = [ ./nixos-options.nix ] ++ modules;
        specialArgs = {
          pkgs = packagesOf "x86_64-linux";
        }
        // specialArgs;
      };
  };
in
{
  lib = extended;
  legacyPackages = lib.genAttrs [
    "x86_64-linux"
    "aarch64-linux"
  ] packagesOf;
}

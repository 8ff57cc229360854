# A NixOS machine of `configuration` with this repository's modules, evaluated. `tables` are what
# the modules read: another set is for tests.
{
  configuration,
  tables ? null,
}:
let
  flake = import ./outputs.nix;
  inherit (flake) nixosModules nixpkgs packagesFor;
  modules =
    if tables == null then nixosModules else import ../modules { inherit packagesFor tables; };
in
nixpkgs.lib.nixosSystem {
  modules = [
    modules.node
    configuration
  ];
}

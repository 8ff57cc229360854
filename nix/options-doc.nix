# The options of the NixOS modules as a page, by NixOS' own means; docs/options.md is the same from
# nix/options-page.nix, which needs no nixpkgs.
{
  lib,
  modules,
  nixosOptionsDoc,
  pkgs,
}:
let
  # Only the declarations are looked at, so NixOS' own options are not needed.
  evaluated = lib.evalModules {
    modules = [
      modules.node
      { _module.check = false; }
    ];
    specialArgs = { inherit pkgs; };
  };
in
(nixosOptionsDoc {
  options = evaluated.options.services.wamr-lab;
  transformOptions = option: option // { declarations = [ ]; };
}).optionsCommonMark

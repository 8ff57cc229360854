# How treefmt calls deadnix, from nix/treefmt.nix: what would be changed is found by the same words.
let
  flake = import ./outputs.nix;
  inherit (flake.nixpkgs) legacyPackages;
  format = flake.treefmt-nix.lib.evalModule legacyPackages.x86_64-linux ../treefmt.nix;
in
builtins.filter (word: word != "--edit") format.config.settings.formatter.deadnix.options

# The text of docs/options.md.
let
  flake = import ./outputs.nix;
in
import ../options-page.nix {
  inherit (flake.nixpkgs) lib;
  inherit (import ./machine.nix { configuration = { }; }) options;
}

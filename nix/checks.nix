# What `nix flake check` builds: every package with its tests, formatting, the house rules.
{
  packages,
  pkgs,
  self,
}:
let
  # Runs `script` in a writable copy of the repository.
  inCopy =
    name: tools: script:
    pkgs.runCommand name { nativeBuildInputs = tools; } ''
      cp -r ${self} repository
      chmod -R u+w repository
      cd repository
      ${script}
      touch $out
    '';
in
removeAttrs packages [ "default" ]
// {
  fmt = inCopy "fmt" [
    pkgs.cargo
    pkgs.rustfmt
  ] "cargo fmt --all --check";

  tidy = inCopy "tidy" [
    pkgs.gcc
    pkgs.rustc
  ] ''
    CARGO_MANIFEST_DIR=$PWD/lab rustc --edition 2024 --test lab/tests/tidy/main.rs -o ../tidy
    ../tidy
  '';
}

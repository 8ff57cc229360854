# What `nix fmt` runs, and what the check of formatting compares with.
{ ... }:
{
  projectRootFile = "flake.nix";
  programs = {
    nixfmt.enable = true;
    deadnix.enable = true;
    statix.enable = true;
    rustfmt.enable = true;
  };
  settings.global.excludes = [
    "data/**"
    "runtime/tests/corpus/**"
  ];
}
